-- Exactly one row per membership with comments, and no comment counts twice in one.

with messages as (

    select
        membership_id,
        count(*) as messages,
        count(distinct comment_id) as comments
    from {{ ref('int_messages') }}
    group by membership_id

),

expected as (

    select
        memberships.user_id,
        memberships.group_slug,
        messages.comments
    from {{ ref('int_memberships') }} as memberships
    inner join messages on memberships.membership_id = messages.membership_id

),

actual as (

    select
        user_id,
        group_slug,
        message_count as comments
    from {{ ref('int_snapshot_candidates') }}

)

(select * from expected except all select * from actual)
union all
(select * from actual except all select * from expected)
