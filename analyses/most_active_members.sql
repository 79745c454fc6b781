-- Who writes most in each group? Ten members of each; user_id breaks ties.

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

ranked as (

    select
        group_slug,
        user_id,
        message_count,
        row_number() over (partition by group_slug order by message_count desc, user_id) as place
    from snapshots

),

final as (

    select
        group_slug,
        place,
        user_id,
        message_count
    from ranked
    where place <= 10
    order by group_slug, place

)

select * from final
