{#- Test, then publish: how candidates become published rows, a scope at a time. -#}

{#- Mark an intermediate table as one that this invocation built. -#}
{%- macro stamp_invocation() -%}
    comment on table {{ this }} is 'built by dbt invocation {{ invocation_id }}'
{%- endmacro -%}

{#-
    Refuse to publish what this invocation has not built from the sources and tested: a dry run's candidates, or some
    of another scope. The lock keeps a table from being replaced between here and the insert, in one transaction.
-#}
{%- macro refuse_what_was_not_built_and_tested() -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() -%}
            {%- if node.resource_type == 'test' and not node.original_file_path.startswith('tests/macros/')
                and node.unique_id not in selected_resources -%}
                {%- do exceptions.raise_compiler_error(
                    "Nothing is published without its tests: build everything with `dbt build`, not a selection"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for node in graph.nodes.values() -%}
            {%- if node.resource_type == 'model' and node.config.materialized == 'table' %}
                {%- set relation = api.Relation.create(
                    database=node.database, schema=node.schema, identifier=node.alias
                ) %}
                lock table {{ relation }} in access share mode;
                do $$
                begin
                    if obj_description({{ text_literal(relation | string) }}::regclass, 'pg_class')
                        is distinct from 'built by dbt invocation {{ invocation_id }}'
                    then
                        raise exception '{{ node.name }} is of another invocation: build everything in one';
                    end if;
                    -- The catalogue still has the count that `analyze` put there.
                    if (select reltuples > 0 from pg_class where oid = {{ text_literal(relation | string) }}::regclass)
                        and not exists (select from {{ relation }})
                    then
                        raise exception '{{ node.name }} was emptied by a crash of the server: run again';
                    end if;
                end
                $$;
            {%- endif -%}
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

{#- The incremental strategy replace_all: every row goes, all that were built come, in one transaction. -#}
{%- macro get_incremental_replace_all_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, 'true') -}}
{%- endmacro -%}

{#- The incremental strategy replace_scope: rows of the scope go, the candidates come, in one transaction. -#}
{%- macro get_incremental_replace_scope_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, scope_filter('user_id', 'group_slug')) -}}
{%- endmacro -%}

{%- macro _replace_rows(arg_dict, condition) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ condition }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{%- endmacro -%}
