{#-
    Grant select on the model to the roles in these lists. If every list has a role, dbt revokes the grants of other roles.
    If a list is empty, its readers were granted by hand or by deploy/roles.sql, so nothing may be revoked: the grants
    config must stay unset, since even an empty one revokes.
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
