{#- The gate: what must hold before a model is published. -#}

{#- Refuse to publish other columns, or rows that this invocation did not build. -#}
{%- macro refuse_unsafe_publication() -%}
    {%- if _is_published_table() -%}
        {{- refuse_other_columns() -}}
        {{- refuse_what_was_not_built() -}}
    {%- endif -%}
{%- endmacro -%}

{#- Whether the model is published as a table; a view has no rows of its own, and `dbt clone` makes views only. -#}
{%- macro _is_published_table() -%}
    {{- return(config.get('materialized') == 'incremental' and flags.WHICH != 'clone') -}}
{%- endmacro -%}

{#- Give the planner the statistics of a table that was just published. -#}
{%- macro analyze_published_table() -%}
    {%- if _is_published_table() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro -%}

{#- Mark an intermediate table or a seed as one that this invocation built. -#}
{%- macro stamp_invocation() -%}
    {%- if flags.WHICH != 'clone' -%}
        comment on table {{ this }} is 'built by dbt invocation {{ invocation_id }}'
    {%- endif -%}
{%- endmacro -%}

{#- Return a published relation, or none before the first publication. A ref() here would make a cycle. -#}
{%- macro published_relation(name) -%}
    {{- return(adapter.get_relation(target.database, target.schema, name)) -}}
{%- endmacro -%}

{#- Before anything is built, refuse to publish a part of a unit, or a unit without its tests. -#}
{%- macro refuse_parts_of_units() -%}
    {%- if execute and flags.WHICH != 'clone' -%}
        {%- for unit in selected_units() -%}
            {%- for node in _nodes_of_unit(unit) if node.unique_id not in selected_resources -%}
                {%- do exceptions.raise_compiler_error(
                    "Nothing is published in part or untested: one invocation must build and test everything, and this one "
                    ~ "lacks " ~ node.name ~ "; run `dbt build` without a selection, or with --exclude path:models/marts to "
                    ~ "publish nothing"
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{#-
    Refuse to publish what this invocation has not built: a dry run's candidates, or some of another scope. The lock
    keeps a table from being replaced between here and the insert, in one transaction.
-#}
{%- macro refuse_what_was_not_built() -%}
    {%- if execute -%}
        {%- for node in _nodes_of_unit(model.config.meta.unit) if node.config.materialized in ['table', 'seed'] %}
            {%- set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
            lock table {{ relation }} in access share mode;
            do $$
            begin
                if obj_description({{ text_literal(relation | string) }}::regclass, 'pg_class')
                    is distinct from 'built by dbt invocation {{ invocation_id }}'
                then
                    raise exception '{{ node.name }} was built by another dbt invocation: run `dbt build` without a selection';
                end if;
                -- The catalogue still has the count that `analyze` put there.
                if (select reltuples > 0 from pg_class where oid = {{ text_literal(relation | string) }}::regclass)
                    and not exists (select 1 from {{ relation }} limit 1)
                then
                    raise exception '{{ node.name }} was emptied by a crash of the server: run again';
                end if;
            end
            $$;
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{#- Refuse a published table of other columns than the contract's; dbt alone would advise a full refresh. -#}
{%- macro refuse_other_columns() -%}
    {%- set published = load_relation(this) -%}
    {%- if published is not none -%}
        {%- set found = adapter.get_columns_in_relation(published) | map(attribute="name") | sort -%}
        {%- if found != model.columns | sort -%}
            {%- do exceptions.raise_compiler_error(
                "The columns published are others: raise contract_version in dbt_project.yml, then wrapper upgrade --yes"
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
