{{ config(indexes=[{'columns': ['group_slug']}]) }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

-- Nothing is published unless everything in its unit was built and tested too.
-- depends_on: {{ ref('int_bio_inputs') }}
-- depends_on: {{ ref('int_month_stats') }}

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
