with messages as (

    select * from {{ ref('int_messages') }}

),

final as (

    select
        membership_id,
        date_trunc('month', created_at)::date as month,
        count(*) as message_count
    from messages
    group by membership_id, date_trunc('month', created_at)::date

)

select * from final
