-- A collapse: the scope would lose more than half of its published snapshots, or all that they have of one kind.

{% set published = snapshots_to_keep() %}

with candidates as (

    select * from {{ ref('int_snapshot_candidates') }}

),

published as (

    {% if published -%}
    select * from {{ published }}
    where {{ scope_filter('user_id', 'group_slug') }}
    {%- else -%}
    select * from candidates
    where false
    {%- endif %}

),

compared as (

    select
        candidates.user_id is null as is_removed,
        count(*) over () as published_count,
        published.top_tags as tags_before,
        candidates.top_tags as tags_after,
        published.top_links as links_before,
        candidates.top_links as links_after,
        published.reaction_counts as reactions_before,
        candidates.reaction_counts as reactions_after,
        published.attachment_counts as attachments_before,
        candidates.attachment_counts as attachments_after
    from published
    left join candidates on published.user_id = candidates.user_id and published.group_slug = candidates.group_slug

),

removed as (

    select
        0 as place,
        format('%s of %s published snapshots', count(*), min(published_count)) as loss
    from compared
    where is_removed and published_count >= {{ var('losses_checked_from') }}
    having count(*) * 2 > min(published_count)

),

emptied as (

    select
        content.place,
        format('all %s, which %s published snapshots have', content.kind, count(*)) as loss
    from compared
    cross join lateral (
        values
        (1, 'tags', tags_before, tags_after),
        (2, 'links', links_before, links_after),
        (3, 'reactions', reactions_before, reactions_after),
        (4, 'attachments', attachments_before, attachments_after)
    ) as content (place, kind, before, after)
    where content.before not in ('[]', '{}') and compared.published_count >= {{ var('losses_checked_from') }}
    group by content.place, content.kind
    having count(*) filter (where content.after not in ('[]', '{}')) = 0

),

final as (

    select * from removed
    union all
    select * from emptied

)

select loss from final
order by place
