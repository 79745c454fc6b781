{{ config(indexes=[{'columns': ['group_slug']}]) }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

-- After the snapshots, so that it goes through the same gate.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with memberships as (

    select * from {{ ref('int_memberships') }}

),

final as (

    select
        user_id,
        group_slug,
        membership_id
    from memberships

)

select * from final
