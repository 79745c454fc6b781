{{ config(materialized='published_view') }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        snapshots.user_id,
        snapshots.group_slug,
        entry.emoji,
        entry.reaction_count::bigint as reaction_count
    from snapshots
    cross join lateral jsonb_each_text(snapshots.reaction_counts) as entry (emoji, reaction_count)

)

select * from final
