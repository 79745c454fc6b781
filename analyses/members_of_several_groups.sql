-- Who connects groups? Members who write in more than one, with how much in each.

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        user_id,
        count(*) as group_count,
        sum(message_count) as message_count,
        jsonb_object_agg(group_slug, message_count) as messages_by_group
    from snapshots
    group by user_id
    having count(*) > 1
    order by group_count desc, message_count desc, user_id

)

select * from final
