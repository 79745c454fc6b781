{#- Refuse invocations that would publish wrong or missing rows. -#}
{%- macro refuse_unsafe_invocations() -%}
    {%- if execute -%}
        {%- do check_vars(say_unknown=true) -%}
    {%- endif -%}
    {#- What another project does with its own nodes alone is safe here. -#}
    {%- set own = own_nodes(graph.nodes.values()) | map(attribute='unique_id') | list if execute else [] -%}
    {%- if selected_resources | select('in', own) | list -%}
        {%- if flags.EMPTY -%}
            {%- do exceptions.raise_compiler_error("--empty would publish a scope without rows") -%}
        {%- endif -%}
        {%- if invocation_args_dict.get('sample') -%}
            {%- do exceptions.raise_compiler_error("--sample would publish a part as if it were the whole") -%}
        {%- endif -%}
        {%- if flags.FULL_REFRESH and is_scoped() -%}
            {%- do exceptions.raise_compiler_error("--full-refresh with a scope would lose every row outside it") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
