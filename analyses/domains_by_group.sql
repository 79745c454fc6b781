-- Which sites does each group link to? Only links among their members' top links are known.

with links as (

    select * from {{ ref('signal_profile_links') }}

),

final as (

    select
        group_slug,
        domain,
        count(distinct user_id) as member_count,
        sum(link_count) as link_count
    from links
    group by group_slug, domain
    order by group_slug, link_count desc, domain

)

select * from final
