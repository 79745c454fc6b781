{#-
    White space, lines and lower case as docs/rules.md defines them, so that nothing depends on a locale.
-#}

{#- The six characters that count as white space, as a text literal: \x0B is VT. -#}
{%- macro white_space() -%}
    {{- "E' \\t\\n\\r\\f\\x0B'" -}}
{%- endmacro -%}

{#- The same six, for the inside of a bracket expression. -#}
{%- macro white_space_class() -%}
    {{- " \\t\\n\\r\\f\\v" -}}
{%- endmacro -%}

{#- `text` without white space at both ends. -#}
{%- macro trimmed(text) -%}
    btrim({{ text }}, {{ white_space() }})
{%- endmacro -%}

{#- `text` in lower case, ASCII letters only. -#}
{%- macro ascii_lower(text) -%}
    lower(({{ text }}) collate "C")
{%- endmacro -%}

{#- The text after the last white space in `text`, ignoring white space at its end; all of it if there is none. -#}
{%- macro last_word(text) -%}
    split_part(translate(rtrim({{ text }}, {{ white_space() }}), {{ white_space() }}, '      '), ' ', -1)
{%- endmacro -%}
