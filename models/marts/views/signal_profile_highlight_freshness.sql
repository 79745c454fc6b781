{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with highlights as (

    select * from {{ ref('signal_profile_highlights') }}

),

snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

snapshot_hashes as (

    select * from {{ ref('signal_profile_snapshot_hashes') }}

),

hashed_snapshots as (

    select
        snapshots.user_id,
        snapshots.group_slug,
        snapshots.last_seen_at,
        snapshot_hashes.snapshot_hash
    from snapshots
    left join snapshot_hashes
        on snapshots.user_id = snapshot_hashes.user_id and snapshots.group_slug = snapshot_hashes.group_slug

),

of_highlights as (

    select
        highlights.user_id,
        highlights.group_slug,
        hashed_snapshots.snapshot_hash,
        hashed_snapshots.last_seen_at,
        case
            when highlights.manual_override then 'manual-override'
            when hashed_snapshots.user_id is null then 'no-snapshot'
            when highlights.is_stale then 'marked-stale'
            -- WhiteBalloon's moments are naive UTC, whatever the time zone of the session.
            when highlights.stale_after < timezone('utc', now()) then 'stale-after'
            when hashed_snapshots.last_seen_at > highlights.snapshot_last_seen_at then 'new-messages'
            when (hashed_snapshots.snapshot_hash is distinct from highlights.snapshot_hash) then 'snapshot-mismatch'
            else 'up-to-date'
        end as reason
    from highlights
    left join hashed_snapshots
        on highlights.user_id = hashed_snapshots.user_id and highlights.group_slug = hashed_snapshots.group_slug

),

of_members_without as (

    select
        user_id,
        group_slug,
        snapshot_hash,
        last_seen_at,
        'never-glazed' as reason
    from hashed_snapshots
    where not exists (select 1 from highlights where highlights.user_id = hashed_snapshots.user_id)

),

combined as (

    select * from of_highlights
    union all
    select * from of_members_without

),

final as (

    select
        user_id,
        group_slug,
        reason in ('manual-override', 'no-snapshot', 'up-to-date') as is_fresh,
        reason,
        snapshot_hash,
        last_seen_at
    from combined

)

select * from final
