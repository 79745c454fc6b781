-- How many bios are to be written from each group's snapshots, and why? Each member counts in one group alone.

with freshness as (

    select * from {{ ref('signal_profile_highlight_freshness') }}

),

final as (

    select
        group_slug,
        reason,
        count(*) as bio_count
    from freshness
    where not is_fresh
    group by group_slug, reason
    order by group_slug, bio_count desc, reason

)

select * from final
