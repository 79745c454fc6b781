{#- Test, then publish: how candidates become published rows, a scope at a time. -#}

{#- Mark an intermediate table or a seed as one that this invocation built. -#}
{%- macro stamp_invocation() -%}
    comment on table {{ this }} is 'built by dbt invocation {{ invocation_id }}'
{%- endmacro -%}

{#- Return a published relation, or none before the first publication. A ref() here would make a cycle. -#}
{%- macro published_relation(name) -%}
    {{- return(adapter.get_relation(target.database, target.schema, name)) -}}
{%- endmacro -%}

{#-
    `unique_ids` and the ids of all that they are built from, sources included. What another unit publishes is not
    followed further: it only has to be there.
-#}
{%- macro with_ancestors(unique_ids, unit=none) -%}
    {%- set found = unique_ids | list -%}
    {#- The list grows while it is walked. -#}
    {%- for unique_id in found -%}
        {%- for parent in graph.nodes.get(unique_id, {}).get('depends_on', {}).get('nodes', []) -%}
            {%- if parent not in found and publication_unit(graph.nodes.get(parent)) in [none, unit] -%}
                {%- do found.append(parent) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro -%}

{#- The unit that a node is published with, as its meta names it; none for what is not published. -#}
{%- macro publication_unit(node) -%}
    {{- return(node.config.meta.get('unit') if node else none) -}}
{%- endmacro -%}

{#- The nodes that must be part of an invocation that publishes this model's unit: its models, what they are built from,
    and the data tests of all these. -#}
{%- macro _nodes_of_unit() -%}
    {%- set unit = publication_unit(model) -%}
    {%- set own = graph.nodes.values() | selectattr('package_name', 'equalto', model.package_name) | list -%}
    {%- set published = [] -%}
    {%- for node in own if publication_unit(node) == unit -%}
        {%- do published.append(node.unique_id) -%}
    {%- endfor -%}
    {%- set built = with_ancestors(published, unit) -%}
    {%- set nodes = [] -%}
    {%- for node in own -%}
        {%- set is_tested = node.resource_type == 'test' and node.depends_on.nodes | select('in', built) | list -%}
        {%- if is_tested or (node.unique_id in built and node.config.materialized != 'ephemeral') -%}
            {%- do nodes.append(node) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(nodes) -}}
{%- endmacro -%}

{#- Refuse to publish a part of a unit, or a unit without its tests. -#}
{%- macro refuse_a_part_of_a_unit() -%}
    {%- if execute -%}
        {%- for node in _nodes_of_unit() if node.unique_id not in selected_resources -%}
            {%- do exceptions.raise_compiler_error(
                "Nothing is published in part or untested: this selection lacks " ~ node.name
                ~ "; run `dbt build` without a selection"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{#-
    Refuse to publish what this invocation has not built: a dry run's candidates, or some of another scope. The lock
    keeps a table from being replaced between here and the insert, in one transaction.
-#}
{%- macro refuse_what_was_not_built() -%}
    {%- if execute -%}
        {%- for node in _nodes_of_unit() if node.config.materialized in ['table', 'seed'] %}
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

{#- The incremental strategy replace_all: every row goes, all that were built come, in one transaction. -#}
{%- macro get_incremental_replace_all_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, 'true') -}}
{%- endmacro -%}

{#- The incremental strategy replace_scope: rows of the scope go, the candidates come, in one transaction. -#}
{%- macro get_incremental_replace_scope_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, scope_filter('user_id', 'group_slug')) -}}
{%- endmacro -%}

{#-
    The incremental strategy replace_changes: as replace_scope, but rows that would come back as they were stay, which costs
    a fraction where there are many of them. For tables whose columns are never null.
-#}
{%- macro get_incremental_replace_changes_sql(arg_dict) -%}
    {%- set names = arg_dict["dest_columns"] | map(attribute="quoted") | list -%}
    {%- set same = "(old." ~ names | join(", old.") ~ ") = (new." ~ names | join(", new.") ~ ")" -%}
    delete from {{ arg_dict["target_relation"] }} as old
    where
        {{ scope_filter('user_id', 'group_slug') }}
        and not exists (select 1 from {{ arg_dict["temp_relation"] }} as new where {{ same }});

    insert into {{ arg_dict["target_relation"] }} ({{ names | join(", ") }})
    select {{ names | join(", ") }}
    from {{ arg_dict["temp_relation"] }} as new
    where not exists (select 1 from {{ arg_dict["target_relation"] }} as old where {{ same }});
{%- endmacro -%}

{%- macro _replace_rows(arg_dict, condition) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ condition }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{%- endmacro -%}
