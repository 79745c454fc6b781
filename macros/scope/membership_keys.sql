{#- What of WhiteBalloon's user attributes makes a membership. -#}

{#- The group slug in the key of a membership. -#}
{%- macro slug_of_key(attribute_key) -%}
    substr({{ attribute_key }}, length({{ text_literal(var('membership_key_prefix')) }}) + 1)
{%- endmacro -%}

{#- Whether an attribute's key makes a membership. -#}
{%- macro is_membership_key(attribute_key) -%}
    (
        starts_with({{ attribute_key }}, {{ text_literal(var('membership_key_prefix')) }})
        and {{ slug_of_key(attribute_key) }} <> ''
        -- A longer slug may not fit the primary key of the published table, and no row would be published.
        and octet_length({{ slug_of_key(attribute_key) }}) <= 2000
    )
{%- endmacro -%}
