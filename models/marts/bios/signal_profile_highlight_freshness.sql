{{ config(materialized='published_view', meta={'unit': 'highlights'}) }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with highlights as (

    select * from {{ ref('signal_profile_highlights') }}

),

snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

memberships as (

    select * from {{ ref('signal_profile_memberships') }}

),

snapshot_hashes as (

    select * from {{ ref('signal_profile_snapshot_hashes') }}

),

chosen_snapshots as (

    -- The bio's own group first, then the oldest membership. group_slug breaks ties: it is unique within a member.
    select distinct on (snapshots.user_id)
        snapshots.user_id,
        snapshots.group_slug,
        snapshots.last_seen_at
    from snapshots
    left join memberships
        on snapshots.user_id = memberships.user_id and snapshots.group_slug = memberships.group_slug
    left join highlights
        on snapshots.user_id = highlights.user_id and snapshots.group_slug = highlights.group_slug
    order by
        snapshots.user_id asc,
        (highlights.user_id is null) asc,
        memberships.membership_id asc nulls last,
        snapshots.group_slug collate "C" asc

),

of_members as (

    select
        coalesce(highlights.user_id, chosen_snapshots.user_id) as user_id,
        coalesce(chosen_snapshots.group_slug, highlights.group_slug) as group_slug,
        snapshot_hashes.snapshot_hash,
        chosen_snapshots.last_seen_at,
        case
            when highlights.user_id is null then 'never-glazed'
            when highlights.manual_override then 'manual-override'
            when chosen_snapshots.user_id is null then 'no-snapshot'
            when highlights.is_stale then 'marked-stale'
            -- WhiteBalloon's timestamps are naive UTC, whatever the session's time zone.
            when highlights.stale_after < timezone('utc', now()) then 'stale-after'
            when highlights.group_slug <> chosen_snapshots.group_slug then 'group-left'
            when chosen_snapshots.last_seen_at > highlights.snapshot_last_seen_at then 'new-messages'
            when (snapshot_hashes.snapshot_hash is distinct from highlights.snapshot_hash) then 'snapshot-mismatch'
            else 'up-to-date'
        end as reason
    from highlights
    full join chosen_snapshots on highlights.user_id = chosen_snapshots.user_id
    left join snapshot_hashes
        on chosen_snapshots.user_id = snapshot_hashes.user_id
        and chosen_snapshots.group_slug = snapshot_hashes.group_slug

),

final as (

    select
        user_id,
        group_slug,
        reason in ('manual-override', 'no-snapshot', 'up-to-date') as is_fresh,
        reason,
        snapshot_hash,
        last_seen_at
    from of_members

)

select * from final
