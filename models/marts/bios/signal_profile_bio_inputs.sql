{{ config(indexes=[{'columns': ['group_slug']}]) }}
{{ readable_by(var('bio_roles')) }}

-- After the snapshots that its rows belong to.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with inputs as (

    select * from {{ ref('int_bio_inputs') }}

),

final as (

    select
        user_id,
        group_slug,
        analyses
    from inputs

)

select * from final
