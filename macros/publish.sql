{#- Test, then publish: how candidates become published rows, a scope at a time. -#}

{#- Mark the candidates as those of this invocation. -#}
{%- macro stamp_candidates() -%}
    comment on table {{ this }} is 'candidates of dbt invocation {{ invocation_id }}'
{%- endmacro -%}

{#-
    Refuse candidates of another invocation, such as a dry run's. The lock keeps them from being replaced between here
    and the insert, which is in the same transaction.
-#}
{%- macro refuse_foreign_candidates(candidates) -%}
    lock table {{ candidates }} in access share mode;
    do $$
    begin
        if obj_description({{ text_literal(candidates | string) }}::regclass, 'pg_class')
            is distinct from 'candidates of dbt invocation {{ invocation_id }}'
        then
            raise exception 'the candidates are of another invocation: build them in the same one';
        end if;
    end
    $$
{%- endmacro -%}

{#- The incremental strategy replace_scope: rows of the scope go, the candidates come, in one transaction. -#}
{%- macro get_incremental_replace_scope_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ scope_filter('user_id', 'group_slug') }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{%- endmacro -%}
