{{ config(materialized='published_view') }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        snapshots.user_id,
        snapshots.group_slug,
        entry.tag_rank,
        entry.tag ->> 'label' as label,
        (entry.tag ->> 'count')::bigint as tag_count
    from snapshots
    cross join lateral jsonb_array_elements(snapshots.top_tags) with ordinality as entry (tag, tag_rank)

)

select * from final
