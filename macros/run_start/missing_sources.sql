{#- Refuse to build from source tables that nobody has loaded yet. -#}
{%- macro refuse_missing_sources() -%}
    {%- if execute and not var('make_missing_sources') -%}
        {%- set needed = with_ancestors(selected_resources) -%}
        {%- for source in own_nodes(graph.sources.values()) -%}
            {%- if source.unique_id in needed and not source.config.meta.get('optional') and _is_not_loaded(source) -%}
                {%- do exceptions.raise_compiler_error(
                    "Table " ~ source.schema ~ "." ~ source.identifier ~ " does not exist: run `wrapper load` first, or build"
                    ~ " from empty tables on a fresh database with --vars '{make_missing_sources: true}'"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{#- Whether a source table is missing from the schema of our own copies. -#}
{%- macro _is_not_loaded(source) -%}
    {{- return(
        source.schema == env_var('WAREHOUSE_SCHEMA', 'signal_profiles') ~ '_source'
        and adapter.get_relation(source.database, source.schema, source.identifier) is none
    ) -}}
{%- endmacro -%}

{#-
    Make an empty stand-in for each optional source table that is needed and missing from the schema of our own copies; for
    every one only when asked, since a build without messages would publish that there are none.
-#}
{%- macro create_missing_sources() -%}
    {%- if execute -%}
        {%- set made_schemas = [] -%}
        {%- if var('make_missing_sources') and published_relation('signal_profile_snapshots') is not none -%}
            {%- do exceptions.raise_compiler_error(
                "make_missing_sources is for a fresh database: from empty sources the published rows would go"
            ) -%}
        {%- endif -%}
        {%- set needed = with_ancestors(selected_resources) -%}
        {%- for source in own_nodes(graph.sources.values()) if source.unique_id in needed -%}
            {%- if (source.config.meta.get('optional') or var('make_missing_sources')) and _is_not_loaded(source) -%}
                {#- Not `if not exists`, which asks for the right to create one even where it exists. -#}
                {%- if source.schema not in made_schemas
                    and not adapter.check_schema_exists(source.database, source.schema) -%}
                    {%- do made_schemas.append(source.schema) -%}
                    create schema {{ adapter.quote(source.schema) }};
                {%- endif %}
                create table {{ adapter.quote(source.schema) }}.{{ adapter.quote(source.identifier) }} (
                {%- for column in source.columns.values() %}
                    {{ adapter.quote(column.name) }} {{ column.data_type }}{{ "," if not loop.last }}
                {%- endfor %}
                );
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
