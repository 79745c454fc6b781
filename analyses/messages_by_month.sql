-- How many messages does each group send in each month, and from how many members?

with months as (

    select * from {{ ref('signal_profile_months') }}

),

final as (

    select
        group_slug,
        month,
        sum(message_count)::bigint as message_count,
        count(*) as member_count
    from months
    group by group_slug, month
    order by group_slug, month

)

select * from final
