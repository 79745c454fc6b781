-- The months of a snapshot add up to its message_count, and every month belongs to a snapshot.

with months as (

    select
        membership_id,
        sum(message_count)::bigint as message_count
    from {{ ref('int_month_stats') }}
    group by membership_id

),

counted as (

    select
        memberships.user_id,
        memberships.group_slug,
        months.message_count
    from months
    left join {{ ref('int_memberships') }} as memberships on months.membership_id = memberships.membership_id

),

candidates as (

    select
        user_id,
        group_slug,
        message_count
    from {{ ref('int_snapshot_candidates') }}

)

(select * from counted except all select * from candidates)
union all
(select * from candidates except all select * from counted)
