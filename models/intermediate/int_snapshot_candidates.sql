with memberships as (

    select * from {{ ref('int_memberships') }}

),

messages as (

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

activity_by_request as (

    select
        membership_id,
        help_request_id,
        count(*) as message_count,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at
    from messages
    group by membership_id, help_request_id

),

activity as (

    select
        membership_id,
        sum(message_count)::bigint as message_count,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        jsonb_agg(help_request_id order by help_request_id) as request_ids
    from activity_by_request
    group by membership_id

),

ranked_links as (

    -- first_appearance breaks ties: it is unique within a membership.
    select
        *,
        row_number() over (partition by membership_id order by link_count desc, first_appearance) as link_rank
    from link_stats

),

top_links as (

    select
        membership_id,
        jsonb_agg(
            jsonb_build_object('url', url, 'domain', domain, 'count', link_count) order by link_rank
        ) as top_links
    from ranked_links
    where link_rank <= {{ var('top_links_limit') }}
    group by membership_id

),

ranked_tags as (

    -- first_appearance breaks ties: it is unique within a membership.
    select
        *,
        row_number() over (partition by membership_id order by tag_count desc, first_appearance) as tag_rank
    from tag_stats

),

top_tags as (

    select
        membership_id,
        jsonb_agg(jsonb_build_object('label', label, 'count', tag_count) order by tag_rank) as top_tags
    from ranked_tags
    where tag_rank <= {{ var('top_tags_limit') }}
    group by membership_id

),

reaction_counts as (

    select
        membership_id,
        jsonb_object_agg(emoji, reaction_count) as reaction_counts
    from reactions
    group by membership_id

),

attachment_counts as (

    select
        membership_id,
        jsonb_object_agg(kind, attachment_count) as attachment_counts
    from attachments
    group by membership_id

),

final as (

    select
        memberships.user_id,
        memberships.group_slug,
        activity.message_count,
        activity.first_seen_at,
        activity.last_seen_at,
        coalesce(top_links.top_links, '[]') as top_links,
        coalesce(top_tags.top_tags, '[]') as top_tags,
        coalesce(reaction_counts.reaction_counts, '{}') as reaction_counts,
        coalesce(attachment_counts.attachment_counts, '{}') as attachment_counts,
        activity.request_ids
    from activity
    inner join memberships on activity.membership_id = memberships.membership_id
    left join top_links on activity.membership_id = top_links.membership_id
    left join top_tags on activity.membership_id = top_tags.membership_id
    left join reaction_counts on activity.membership_id = reaction_counts.membership_id
    left join attachment_counts on activity.membership_id = attachment_counts.membership_id

)

select * from final
