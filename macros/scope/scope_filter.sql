{#-
    Whether a row is in the scope of the run: the only way that user_ids and group_slugs reach SQL.
    Usage: where {{ scope_filter('user_id', 'group_slug') }}
-#}
{%- macro scope_filter(user_id, group_slug) -%}
    {%- do check_vars() -%}
    {%- set tests = [] -%}
    {%- if var('user_ids') is not none -%}
        {%- do tests.append(user_id ~ " in (" ~ (var('user_ids') | join(", ")) ~ ")") -%}
    {%- endif -%}
    {%- if var('group_slugs') is not none -%}
        {%- set literals = [] -%}
        {%- for slug in var('group_slugs') -%}
            {%- do literals.append(text_literal(slug)) -%}
        {%- endfor -%}
        {%- do tests.append(group_slug ~ " in (" ~ (literals | join(", ")) ~ ")") -%}
    {%- endif -%}
    {{ tests | join(" and ") if tests else "true" }}
{%- endmacro -%}

{#- Whether the run covers only a part of the memberships. -#}
{%- macro is_scoped() -%}
    {{ return(var('user_ids') is not none or var('group_slugs') is not none) }}
{%- endmacro -%}
