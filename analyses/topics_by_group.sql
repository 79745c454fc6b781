-- What is each group about? Tags by the members who have them among their top tags.

with tags as (

    select * from {{ ref('signal_profile_tags') }}

),

groups as (

    select * from {{ ref('signal_profile_groups') }}

),

final as (

    select
        tags.group_slug,
        tags.label,
        count(*) as member_count,
        round(100.0 * count(*) / groups.member_count, 1) as percent_of_members,
        sum(tags.tag_count) as tag_count
    from tags
    inner join groups on tags.group_slug = groups.group_slug
    group by tags.group_slug, tags.label, groups.member_count
    order by tags.group_slug, member_count desc, tag_count desc, tags.label

)

select * from final
