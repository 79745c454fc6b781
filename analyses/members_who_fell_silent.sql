-- Who wrote at least ten messages, and none in the 60 days before the group's last one?

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

groups as (

    select * from {{ ref('signal_profile_groups') }}

),

final as (

    select
        snapshots.group_slug,
        snapshots.user_id,
        snapshots.message_count,
        snapshots.last_seen_at
    from snapshots
    inner join groups on snapshots.group_slug = groups.group_slug
    where
        snapshots.message_count >= 10
        and snapshots.last_seen_at < groups.last_seen_at - interval '60 days'
    order by snapshots.group_slug, snapshots.last_seen_at, snapshots.user_id

)

select * from final
