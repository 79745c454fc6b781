{#-
    Everything that differs on a Citus cluster. If the var `distributed` is true, a model whose meta names a column
    `distributed_by` is spread over the workers by that column. All other tables stay on the coordinator.
-#}

{#- Return the column that spreads this node's table over the workers, or none if the table is not spread. -#}
{%- macro distribution_column(node) -%}
    {{- return(node.config.meta.get('distributed_by') if var('distributed') else none) -}}
{%- endmacro -%}

{#-
    Create the table of a distributed model empty, spread it and then fill it, so that workers fill their own shards.
    It is never unlogged: after a crash, a worker would have lost its rows without any sign of it.
-#}
{%- macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set column = distribution_column(model) -%}
    {%- if temporary or column is none -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else -%}
        create table {{ relation }} as ({{ sql }}) with no data;
        select create_distributed_table({{ text_literal(relation | string) }}, {{ text_literal(column) }});
        insert into {{ relation }}
        {{ sql }};
    {%- endif -%}
{%- endmacro -%}

{#- Propagate the settings that follow in this transaction to the workers. -#}
{%- macro propagate_settings() -%}
    {%- if var('distributed') -%}
        set local citus.propagate_set_commands = 'local';
    {%- endif -%}
{%- endmacro -%}

{#- If the var `distributed` is true, refuse a database whose tables cannot be spread over workers. -#}
{%- macro refuse_without_workers() -%}
    {%- if execute and var('distributed') -%}
        {%- if run_query("select 1 from pg_extension where extname = 'citus'").rows | length == 0 -%}
            {%- do exceptions.raise_compiler_error(
                "The var 'distributed' is true, but this database has no extension citus: set it to false, or connect to"
                ~ " the coordinator of a Citus cluster"
            ) -%}
        {%- endif -%}
        {%- set nodes = run_query(
            "select count(*) filter (where groupid > 0), count(*) filter (where groupid = 0)"
            ~ " from pg_dist_node where shouldhaveshards and isactive"
        ).rows[0] -%}
        {%- if nodes[0] == 0 -%}
            {%- do exceptions.raise_compiler_error(
                "The var 'distributed' is true, but this Citus cluster has no active workers: add some with"
                ~ " citus_add_node()"
            ) -%}
        {%- endif -%}
        {%- if nodes[1] -%}
            {%- do exceptions.raise_compiler_error(
                "The coordinator of this Citus cluster holds shards, so a table cannot be analyzed in the transaction"
                ~ " that fills it: give it none with citus_set_node_property(..., 'shouldhaveshards', false)"
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
