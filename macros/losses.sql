{#- What plain dbt does not say about the test of losses: the rows that it found. -#}
{%- macro explain_losses(results) -%}
    {%- for result in results if execute and result.status == 'fail' and result.node.name == 'candidates_keep_what_is_published' -%}
        {%- set losses = run_query(result.node.compiled_code).columns[0].values() -%}
        {%- do log(
            "This would lose " ~ losses | join(", ") ~ ": check the sources and settings, or publish it once with "
            ~ "--vars '{accept_losses: true}'",
            info=true
        ) -%}
    {%- endfor -%}
{%- endmacro -%}
