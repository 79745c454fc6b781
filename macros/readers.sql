{#-
    Let these roles read the model, and no others that a run let read it before. Without roles there is no grants config,
    since even an empty one would take away what was granted by hand.
    Usage: {{ readable_by(var('analyst_roles') + var('bio_roles')) }}
-#}
{%- macro readable_by(roles) -%}
    {%- if roles -%}
        {%- do config(grants={'select': roles}) -%}
    {%- endif -%}
{%- endmacro -%}
