{{ config(materialized='published_view') }}
{{ readable_by(var('analyst_roles'), var('bio_roles')) }}

with snapshots as (

    select * from {{ ref('signal_profile_snapshots') }}

),

final as (

    select
        snapshots.user_id,
        snapshots.group_slug,
        entry.link_rank,
        entry.link ->> 'url' as url,
        entry.link ->> 'domain' as domain,
        (entry.link ->> 'count')::bigint as link_count
    from snapshots
    cross join lateral jsonb_array_elements(snapshots.top_links) with ordinality as entry (link, link_rank)

)

select * from final
