{{ config(materialized='published_view') }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

links as (

    select * from {{ ref('signal_profile_links') }}

),

groups as (

    select
        group_slug,
        count(*) as member_count,
        sum(message_count)::bigint as message_count,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from snapshots
    group by group_slug

),

top_links as (

    select
        group_slug,
        count(distinct url) as urls_in_top_links
    from links
    group by group_slug

),

final as (

    select
        groups.group_slug,
        groups.member_count,
        groups.message_count,
        groups.first_seen_at,
        groups.last_seen_at,
        coalesce(top_links.urls_in_top_links, 0) as urls_in_top_links
    from groups
    left join top_links on groups.group_slug = top_links.group_slug

)

select * from final
