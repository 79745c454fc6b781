with memberships as (

    select * from {{ ref('int_memberships') }}

),

messages as (

    select * from {{ ref('int_messages') }}

),

analyses as (

    select * from {{ ref('stg_whiteballoon__comment_llm_analyses') }}

),

ranked_messages as (

    -- comment_id breaks ties: it is unique within a membership.
    select
        membership_id,
        comment_id,
        help_request_id,
        row_number() over (partition by membership_id order by created_at desc, comment_id desc) as recency
    from messages

),

latest_messages as (

    select * from ranked_messages where recency <= {{ var('bio_messages_limit') }}

),

active_memberships as (

    -- Not from the CTE above: Postgres materializes a CTE that is used twice, and then uses no parallel workers.
    select distinct membership_id from {{ ref('int_messages') }}

),

inputs as (

    select
        latest_messages.membership_id,
        jsonb_agg(
            jsonb_build_object(
                'comment_id', analyses.comment_id,
                'help_request_id', coalesce(analyses.help_request_id, latest_messages.help_request_id),
                'run_id', coalesce(analyses.run_id, ''),
                'summary', coalesce(analyses.summary, ''),
                'resource_tags', {{ tag_labels('analyses.resource_tags') }},
                'request_tags', {{ tag_labels('analyses.request_tags') }},
                'audience', coalesce(analyses.audience, ''),
                'residency_stage', coalesce(analyses.residency_stage, ''),
                'location', coalesce(analyses.location, ''),
                'location_precision', coalesce(analyses.location_precision, ''),
                'urgency', coalesce(analyses.urgency, ''),
                'sentiment', coalesce(analyses.sentiment, ''),
                'tags', {{ tag_labels('analyses.tags') }},
                'notes', coalesce(analyses.notes, ''),
                'recorded_at', coalesce(analyses.recorded_at, '')
            )
            order by latest_messages.recency
        ) as analyses
    from analyses
    inner join latest_messages on analyses.comment_id = latest_messages.comment_id
    group by latest_messages.membership_id

),

final as (

    select
        memberships.user_id,
        memberships.group_slug,
        coalesce(inputs.analyses, '[]') as analyses
    from memberships
    inner join active_memberships on memberships.membership_id = active_memberships.membership_id
    left join inputs on memberships.membership_id = inputs.membership_id

)

select * from final
