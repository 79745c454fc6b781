{{
    config(
        materialized='incremental',
        incremental_strategy='replace_scope',
        on_schema_change='fail',
        full_refresh=false,
        pre_hook="{{ refuse_what_was_not_built_and_tested() }}"
    )
}}

with candidates as (

    select * from {{ ref('int_snapshot_candidates') }}

),

final as (

    select
        user_id,
        group_slug,
        message_count,
        first_seen_at,
        last_seen_at,
        top_links,
        top_tags,
        reaction_counts,
        attachment_counts,
        request_ids
    from candidates

)

select * from final
