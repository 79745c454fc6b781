-- Which links do most members share? Only links among their members' top links are known.

with links as (

    select * from {{ ref('signal_profile_links') }}

),

final as (

    select
        url,
        count(distinct user_id) as member_count,
        count(distinct group_slug) as group_count,
        sum(link_count) as link_count
    from links
    group by url
    order by member_count desc, link_count desc, url
    limit 20

)

select * from final
