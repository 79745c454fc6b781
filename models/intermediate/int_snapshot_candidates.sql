with messages as (

    select * from {{ ref('int_messages') }}

),

link_stats as (

    select * from {{ ref('int_link_stats') }}

),

tag_stats as (

    select * from {{ ref('int_tag_stats') }}

),

reactions as (

    select * from {{ ref('int_reactions') }}

),

attachments as (

    select * from {{ ref('int_attachments') }}

),

activity as (

    select
        user_id,
        group_slug,
        count(*) as message_count,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        to_jsonb(array_agg(distinct help_request_id order by help_request_id)) as request_ids
    from messages
    group by user_id, group_slug

),

ranked_links as (

    -- first_appearance breaks ties: it is another one for each URL of a membership.
    select
        *,
        row_number() over (partition by user_id, group_slug order by link_count desc, first_appearance) as link_rank
    from link_stats

),

top_links as (

    select
        user_id,
        group_slug,
        jsonb_agg(
            jsonb_build_object('url', url, 'domain', domain, 'count', link_count) order by link_rank
        ) as top_links
    from ranked_links
    where link_rank <= {{ var('top_links_limit') }}
    group by user_id, group_slug

),

ranked_tags as (

    -- first_appearance breaks ties: it is another one for each label of a membership.
    select
        *,
        row_number() over (partition by user_id, group_slug order by tag_count desc, first_appearance) as tag_rank
    from tag_stats

),

top_tags as (

    select
        user_id,
        group_slug,
        jsonb_agg(jsonb_build_object('label', label, 'count', tag_count) order by tag_rank) as top_tags
    from ranked_tags
    where tag_rank <= {{ var('top_tags_limit') }}
    group by user_id, group_slug

),

reaction_counts as (

    select
        user_id,
        group_slug,
        jsonb_object_agg(emoji, reaction_count) as reaction_counts
    from reactions
    group by user_id, group_slug

),

attachment_counts as (

    select
        user_id,
        group_slug,
        jsonb_object_agg(kind, attachment_count) as attachment_counts
    from attachments
    group by user_id, group_slug

),

final as (

    select
        activity.user_id,
        activity.group_slug,
        activity.message_count,
        activity.first_seen_at,
        activity.last_seen_at,
        coalesce(top_links.top_links, '[]') as top_links,
        coalesce(top_tags.top_tags, '[]') as top_tags,
        coalesce(reaction_counts.reaction_counts, '{}') as reaction_counts,
        coalesce(attachment_counts.attachment_counts, '{}') as attachment_counts,
        activity.request_ids
    from activity
    left join top_links
        on activity.user_id = top_links.user_id and activity.group_slug = top_links.group_slug
    left join top_tags
        on activity.user_id = top_tags.user_id and activity.group_slug = top_tags.group_slug
    left join reaction_counts
        on activity.user_id = reaction_counts.user_id and activity.group_slug = reaction_counts.group_slug
    left join attachment_counts
        on activity.user_id = attachment_counts.user_id and activity.group_slug = attachment_counts.group_slug

)

select * from final
