{#-
    Let the roles of these lists read the model. If every list names a role, dbt revokes what other roles were granted. If
    a list is empty, its readers have their grants by hand or from deploy/roles.sql, so nothing is revoked and the grants
    config stays unset: even an empty one revokes.
    Usage: {{ readable_by(var('analyst_roles'), var('bio_roles')) }}
-#}
{%- macro readable_by() -%}
    {%- set roles = [] -%}
    {%- for list_of_roles in varargs -%}
        {%- do roles.extend(list_of_roles) -%}
    {%- endfor -%}
    {%- if varargs | select | list | length == varargs | length -%}
        {%- do config(grants={'select': roles}) -%}
    {%- elif roles -%}
        {%- do config(post_hook=get_grant_sql(this, 'select', roles)) -%}
    {%- endif -%}
{%- endmacro -%}
