{#-
    Let the roles of these lists read the model. Where all of them name somebody, they say who may read it: dbt takes away
    what others were granted. Where one is empty, its readers are granted by hand or by deploy/roles.sql, so nothing is
    taken away; and there is no grants config, since even an empty one would.
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
