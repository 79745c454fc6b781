with candidates as (

    select * from {{ ref('int_snapshot_candidates') }}

),

memberships as (

    select * from {{ ref('int_memberships') }}

),

messages as (

    select * from {{ ref('int_messages') }}

),

analyses as (

    select * from {{ ref('stg_whiteballoon__comment_llm_analyses') }}

),

latest_messages as (

    -- comment_id breaks ties: it is another one for each message of a membership.
    select
        membership_id,
        comment_id,
        help_request_id,
        row_number() over (partition by membership_id order by created_at desc, comment_id desc) as recency
    from messages

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
                'resource_tags', {{ tag_labels('analyses.resource_tags', 'analyses.resource_tags_json') }},
                'request_tags', {{ tag_labels('analyses.request_tags', 'analyses.request_tags_json') }},
                'audience', coalesce(analyses.audience, ''),
                'residency_stage', coalesce(analyses.residency_stage, ''),
                'location', coalesce(analyses.location, ''),
                'location_precision', coalesce(analyses.location_precision, ''),
                'urgency', coalesce(analyses.urgency, ''),
                'sentiment', coalesce(analyses.sentiment, ''),
                'tags', {{ tag_labels('analyses.tags', 'analyses.tags_json') }},
                'notes', coalesce(analyses.notes, ''),
                'recorded_at', coalesce(analyses.recorded_at, '')
            )
            order by latest_messages.recency
        ) as analyses
    from latest_messages
    inner join analyses on latest_messages.comment_id = analyses.comment_id
    where latest_messages.recency <= {{ var('bio_messages_limit') }}
    group by latest_messages.membership_id

),

final as (

    select
        candidates.user_id,
        candidates.group_slug,
        coalesce(inputs.analyses, '[]') as analyses
    from candidates
    inner join memberships
        on candidates.user_id = memberships.user_id and candidates.group_slug = memberships.group_slug
    left join inputs on memberships.membership_id = inputs.membership_id

)

select * from final
