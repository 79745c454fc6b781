{#-
    A view that is never dropped, so that analysts' views on it survive, and replaced only when its query is another one,
    since that would wait for its readers.
-#}
{%- materialization published_view, adapter='postgres' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{- run_hooks(pre_hooks) -}}

    {%- call statement('probe') -%}
        {{ get_assert_columns_equivalent(sql) }}
        create temporary view {{ adapter.quote(this.identifier ~ '__probe') }} as ({{ sql }})
    {%- endcall -%}
    {%- call statement('same', fetch_result=true) -%}
        select pg_get_viewdef({{ text_literal('pg_temp.' ~ adapter.quote(this.identifier ~ '__probe')) }}::regclass)
            is not distinct from pg_get_viewdef(to_regclass({{ text_literal(target_relation.render()) }}))
    {%- endcall -%}
    {%- call statement('drop_probe') -%}
        {# Without its schema, which Citus would look up on its workers; a temporary view is found first. -#}
        drop view {{ adapter.quote(this.identifier ~ '__probe') }}
    {%- endcall -%}
    {#- What `main` says is printed as what became of the model. -#}
    {%- if load_result('same').data[0][0] -%}
        {%- do store_raw_result('main', message='UNCHANGED', code='UNCHANGED', rows_affected=none) -%}
    {%- else -%}
        {%- call statement('main') -%}
            create or replace view {{ target_relation }} as ({{ sql }})
        {%- endcall -%}
    {%- endif -%}

    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=true) -%}
    {{- run_hooks(post_hooks) -}}
    {%- do adapter.commit() -%}
    {{- return({'relations': [target_relation]}) -}}
{%- endmaterialization -%}
