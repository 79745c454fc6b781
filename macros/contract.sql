{#- Give a published relation its description as a comment, with the version of the contract that a run looks for. -#}
{%- macro describe_with_version() -%}
    comment on {{ 'view' if config.get('materialized') == 'published_view' else 'table' }} {{ this }} is
    {{ text_literal((model.description | trim) ~ " Contract version " ~ var('contract_version') ~ ".") }}
{%- endmacro -%}
