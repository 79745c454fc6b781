with highlights as (

    select * from {{ ref('stg_whiteballoon__user_profile_highlights') }}

),

attributes as (

    select * from {{ ref('stg_whiteballoon__user_attributes') }}

),

oldest_memberships as (

    -- Every membership, in the scope or not: a bio is its member's alone.
    select distinct on (user_id)
        user_id,
        {{ slug_of_key('attribute_key') }} as group_slug
    from attributes
    where {{ is_membership_key('attribute_key') }}
    order by user_id, user_attribute_id

),

final as (

    select
        highlights.user_id,
        coalesce(nullif(highlights.source_group, ''), oldest_memberships.group_slug) as group_slug,
        highlights.snapshot_hash,
        highlights.snapshot_last_seen_at,
        highlights.stale_after,
        highlights.is_stale,
        highlights.manual_override
    from highlights
    left join oldest_memberships on highlights.user_id = oldest_memberships.user_id

)

select * from final
