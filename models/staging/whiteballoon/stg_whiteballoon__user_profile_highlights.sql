with source as (

    select * from {{ source('whiteballoon_highlights', 'user_profile_highlights') }}

),

final as (

    select
        user_id::bigint as user_id,
        case when {{ trimmed('source_group::text') }} <> '' then source_group::text collate "C" end as source_group,
        snapshot_hash::text as snapshot_hash,
        snapshot_last_seen_at::timestamp as snapshot_last_seen_at,
        stale_after::timestamp as stale_after,
        coalesce(is_stale::boolean, false) as is_stale,
        coalesce(manual_override::boolean, false) as manual_override
    from source

)

select * from final
