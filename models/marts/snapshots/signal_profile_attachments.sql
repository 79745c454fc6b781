{{ config(materialized='published_view') }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        snapshots.user_id,
        snapshots.group_slug,
        entry.kind,
        entry.attachment_count::bigint as attachment_count
    from snapshots
    cross join lateral jsonb_each_text(snapshots.attachment_counts) as entry (kind, attachment_count)

)

select * from final
