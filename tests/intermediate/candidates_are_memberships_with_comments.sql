-- Exactly one row per membership with comments: none is missing, none is too many.

with expected as (

    select
        memberships.user_id,
        memberships.group_slug
    from {{ ref('int_memberships') }} as memberships
    where exists (
        select 1
        from {{ ref('int_messages') }} as messages
        where messages.membership_id = memberships.membership_id
    )

),

actual as (

    select
        user_id,
        group_slug
    from {{ ref('int_snapshot_candidates') }}

)

(select * from expected except all select * from actual)
union all
(select * from actual except all select * from expected)
