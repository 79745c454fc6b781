{#-
    Return the published snapshots that the candidates are compared with, or none if nothing can be lost or losses are
    accepted. Only `dbt build` compares: it alone publishes, and `dbt test` may find candidates of another scope.
-#}
{%- macro snapshots_to_keep() -%}
    {%- if flags.WHICH == 'build' and not var('accept_losses') -%}
        {{- return(published_relation('signal_profile_snapshots')) -}}
    {%- endif -%}
    {{- return(none) -}}
{%- endmacro -%}

{#- Print what the test of losses found, since dbt only counts its rows. -#}
{%- macro explain_losses(results) -%}
    {%- for result in results if execute and result.status == 'fail' -%}
        {%- if result.node.unique_id == 'test.signal_profiles.candidates_keep_what_is_published' -%}
            {%- set losses = run_query(result.node.compiled_code).columns[0].values() -%}
            {%- do log(
                "This would lose " ~ losses | join(", ") ~ ": check the sources and settings, or publish it once with "
                ~ "--vars '{accept_losses: true}'",
                info=true
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
