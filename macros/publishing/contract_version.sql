{#-
    Set the comments of a published relation: its description with the version of the contract, and its columns'
    descriptions. In one statement; dbt's persist_docs reads the catalogue twice for each relation.
-#}
{%- macro describe_with_version() -%}
    comment on {{ 'table' if _is_published_table() else 'view' }} {{ this }} is
    {{ text_literal((model.description | trim) ~ " Contract version " ~ var('contract_version') ~ ".") }};
    {%- for column in model.columns.values() %}
        comment on column {{ this }}.{{ adapter.quote(column.name) }} is {{ text_literal(column.description) }};
    {%- endfor %}
{%- endmacro -%}

{#-
    Return the version of what is published, or none if nothing is. In installations without signal_profile_contract, the
    comment of the snapshots has it; if that was edited, the version is 1, the only one published without that table.
-#}
{%- macro published_contract_version() -%}
    {%- set contract = published_relation('signal_profile_contract') -%}
    {%- set snapshots = published_relation('signal_profile_snapshots') -%}
    {%- set version = run_query("select max(contract_version) from " ~ contract).rows[0][0] if contract -%}
    {%- if version -%}
        {{- return(version | int) -}}
    {%- elif snapshots -%}
        {{- return(run_query(
            "select coalesce(substring(obj_description(" ~ text_literal(snapshots.render()) ~ "::regclass, 'pg_class')"
            ~ " from 'Contract version ([0-9]+)[.]$'), '1')"
        ).rows[0][0] | int) -}}
    {%- endif -%}
    {{- return(none) -}}
{%- endmacro -%}

{#- Refuse to publish beside relations of another version. Computing and testing are allowed. -#}
{%- macro refuse_another_contract() -%}
    {%- if execute -%}
        {%- set version = published_contract_version() if selected_units() else none -%}
        {%- if version not in [none, var('contract_version')] -%}
            {%- do exceptions.raise_compiler_error(
                "Schema " ~ target.schema ~ " holds version " ~ version ~ " of the published contract, and this is version "
                ~ var('contract_version') ~ ": run `wrapper upgrade` to see what would be replaced"
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
