{{ readable_by(var('analyst_roles'), var('bio_roles')) }}
{{ config(incremental_strategy='replace_changes') }}

-- After the snapshots that its rows add up to.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with months as (

    select * from {{ ref('int_month_stats') }}

),

memberships as (

    select * from {{ ref('int_memberships') }}

),

final as (

    select
        memberships.user_id,
        memberships.group_slug,
        months.month,
        months.message_count
    from months
    inner join memberships on months.membership_id = memberships.membership_id

)

select * from final
