-- How many members wrote their first message in each group, month by month?

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        group_slug,
        date_trunc('month', first_seen_at)::date as first_month,
        count(*) as newcomer_count
    from snapshots
    group by group_slug, date_trunc('month', first_seen_at)::date
    order by group_slug, first_month

)

select * from final
