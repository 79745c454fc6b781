{#-
    The body's closing lines: `[attachments: …]` and `(Reactions: …)`, each optional, in this order, at its very end.
    split_part() from the end costs a fraction of a regular expression anchored there.
-#}

{#- Whether `body` may have a closing reactions line: a plain filter, which costs a fraction of taking lines apart. -#}
{%- macro may_hold_reactions(body) -%}
    {{ body }} like {{ text_literal('%' ~ var('body_markers')['reactions'] ~ '%') }}
{%- endmacro -%}

{#- Whether `body` may have a closing attachments line. -#}
{%- macro may_hold_attachments(body) -%}
    {{ body }} like {{ text_literal('%' ~ var('body_markers')['attachments'] ~ '%') }}
{%- endmacro -%}

{#- The text after `(Reactions: ` in the closing reactions line of `body`; null if `body` has no such line. -#}
{%- macro closing_reactions(body) -%}
    {%- set last_line = _line_from_end(body, 1) -%}
    case when {{ _is_reactions_line(last_line) }} then left(substr({{ last_line }}, {{ var('body_markers')['reactions'] | length + 1 }}), -1) end
{%- endmacro -%}

{#- The text after `[attachments: ` in the closing attachments line of `body`; null if `body` has no such line. -#}
{%- macro closing_attachments(body) -%}
    {%- set last_line = _line_from_end(body, 1) -%}
    {%- set line_before = _line_from_end(body, 2) -%}
    case
        when {{ _is_reactions_line(last_line) }} then {{ _inside_attachments_line(line_before) }}
        else {{ _inside_attachments_line(last_line) }}
    end
{%- endmacro -%}

{%- macro _line_from_end(body, number) -%}
    {{ trimmed("split_part(" ~ trimmed(body) ~ ", E'\\n', -" ~ number ~ ")") }}
{%- endmacro -%}

{%- macro _is_reactions_line(line) -%}
    {{ line }} like {{ text_literal(var('body_markers')['reactions'] ~ '_%)') }}
{%- endmacro -%}

{%- macro _inside_attachments_line(line) -%}
    {%- set marker = var('body_markers')['attachments'] -%}
    case when {{ line }} like {{ text_literal(marker ~ '_%]') }} then left(substr({{ line }}, {{ marker | length + 1 }}), -1) end
{%- endmacro -%}
