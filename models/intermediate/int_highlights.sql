with highlights as (

    select * from {{ ref('stg_whiteballoon__user_profile_highlights') }}

),

final as (

    select
        user_id,
        source_group as group_slug,
        snapshot_hash,
        snapshot_last_seen_at,
        stale_after,
        is_stale,
        manual_override
    from highlights

)

select * from final
