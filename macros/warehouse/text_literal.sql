{#-
    A literal for any `value`, whatever standard_conforming_strings says.
    Usage: group_slug = {{ text_literal("it's") }}
-#}
{%- macro text_literal(value) -%}
    {{- "E'" ~ (value | replace("\\", "\\\\") | replace("'", "''")) ~ "'" -}}
{%- endmacro -%}
