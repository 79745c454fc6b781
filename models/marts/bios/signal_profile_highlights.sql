{{ readable_by(var('analyst_roles'), var('bio_roles')) }}
{{ config(incremental_strategy='replace_all', meta={'unit': 'highlights'}) }}

-- After the snapshots that it is compared with.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with highlights as (

    select * from {{ ref('int_highlights') }}

),

final as (

    select
        user_id,
        group_slug,
        snapshot_hash,
        snapshot_last_seen_at,
        stale_after,
        is_stale,
        manual_override
    from highlights

)

select * from final
