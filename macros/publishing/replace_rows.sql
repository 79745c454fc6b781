{#- The incremental strategies that turn candidates into published rows. -#}

{#- The incremental strategy replace_all: delete all rows and insert those that were built, in one transaction. -#}
{%- macro get_incremental_replace_all_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, 'true') -}}
{%- endmacro -%}

{#- The incremental strategy replace_scope: delete the rows of the scope, insert the candidates, in one transaction. -#}
{%- macro get_incremental_replace_scope_sql(arg_dict) -%}
    {{- _replace_rows(arg_dict, scope_filter('user_id', 'group_slug')) -}}
{%- endmacro -%}

{#-
    The incremental strategy replace_changes: like replace_scope, but rows that would not change stay. This takes a fraction
    of the time if there are many of them. For tables whose columns are never null.
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
