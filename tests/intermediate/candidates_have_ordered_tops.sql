-- top_links and top_tags have all entries up to their limits, ordered by count and then first appearance.

with stats as (

    select
        membership_id,
        'link' as entry_type,
        (array_agg(url || ' ' || link_count order by link_count desc, first_appearance))[1:{{ var('top_links_limit') }}]
            as entries
    from {{ ref('int_link_stats') }}
    group by membership_id
    union all
    select
        membership_id,
        'tag' as entry_type,
        (array_agg(label || ' ' || tag_count order by tag_count desc, first_appearance))[1:{{ var('top_tags_limit') }}]
            as entries
    from {{ ref('int_tag_stats') }}
    group by membership_id

),

expected as (

    select
        memberships.user_id,
        memberships.group_slug,
        stats.entry_type,
        stats.entries
    from stats
    inner join {{ ref('int_memberships') }} as memberships on stats.membership_id = memberships.membership_id

),

actual as (

    select
        user_id,
        group_slug,
        'link' as entry_type,
        array(
            select (entry ->> 'url') || ' ' || (entry ->> 'count')
            from jsonb_array_elements(top_links) with ordinality as entries (entry, entry_position)
            order by entry_position
        ) as entries
    from {{ ref('int_snapshot_candidates') }}
    union all
    select
        user_id,
        group_slug,
        'tag' as entry_type,
        array(
            select (entry ->> 'label') || ' ' || (entry ->> 'count')
            from jsonb_array_elements(top_tags) with ordinality as entries (entry, entry_position)
            order by entry_position
        ) as entries
    from {{ ref('int_snapshot_candidates') }}

)

select
    actual.user_id,
    actual.group_slug,
    actual.entry_type
from actual
left join expected
    on
        actual.user_id = expected.user_id
        and actual.group_slug = expected.group_slug
        and actual.entry_type = expected.entry_type
where actual.entries <> coalesce(expected.entries, '{}')
