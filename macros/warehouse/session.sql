{#- What must hold in each session that builds. Plain dbt opens a session for each model. -#}

{#-
    Fix the settings that rows depend on, limit waits for locks unless the connection limits them, and hold a lock that
    a run of the wrapper excludes. It lasts as long as the session, which ends with the model.
-#}
{%- macro begin_session() -%}
    {{ fixed_settings() }};
    select set_config('lock_timeout', '60s', false) where current_setting('lock_timeout') = '0';
    do $$
    begin
        if not ({{ _may_build() }}) then
            raise exception '{{ _beside_a_run() }}';
        end if;
    end
    $$
{%- endmacro -%}

{#- Refuse to start while a run of the wrapper works in this schema. -#}
{%- macro refuse_beside_a_run() -%}
    {%- if execute and not run_query("select " ~ _may_build()).rows[0][0] -%}
        {%- do exceptions.raise_compiler_error(_beside_a_run()) -%}
    {%- endif -%}
{%- endmacro -%}

{#- The settings that rows depend on: time zones would shift times, and patterns would lose their backslashes. -#}
{%- macro fixed_settings() -%}
    set timezone = 'UTC';
    set standard_conforming_strings = on
{%- endmacro -%}

{#- Settings of this transaction only: resources as the vars allow, parallel plans, and no JIT compilation. -#}
{%- macro tune_transaction() -%}
    set local work_mem = {{ text_literal(var('work_mem')) }};
    {%- if var('parallel_workers') is not none %}
        set local max_parallel_workers_per_gather = {{ var('parallel_workers') }};
    {%- endif %}
    {#- After the limits, which are not propagated: a Citus worker runs a statement per shard at once. -#}
    {{ propagate_settings() }}
    set local jit = off;
    set local parallel_tuple_cost = 0.01
{%- endmacro -%}

{#- dbt's query for the result of a data test, in a session with the same settings. -#}
{%- macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {#- In a query of its own: Postgres parses all literals of a query string before it runs the first statement. -#}
    {%- do run_query(fixed_settings()) -%}
    {{ dbt.default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) }}
{%- endmacro -%}

{#- Sessions that the wrapper starts need no lock, since the wrapper holds it (wrapper/warehouse/lock.py). -#}
{%- macro _may_build() -%}
    coalesce(current_setting('signal_profiles.lock', true), '') = 'wrapper'
    or pg_try_advisory_lock_shared(hashtextextended({{ text_literal('signal-profile-snapshots:' ~ target.schema) }}, 0))
{%- endmacro -%}

{%- macro _beside_a_run() -%}
    {{- "a run of the wrapper holds the lock of schema " ~ target.schema ~ ": run dbt again when that has ended" -}}
{%- endmacro -%}
