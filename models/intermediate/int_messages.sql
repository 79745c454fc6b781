-- join_collapse_limit keeps the order of joins: the planner underestimates the messages and would choose a nested loop.
{{ config(pre_hook="set local join_collapse_limit = 1") }}

with memberships as (

    select * from {{ ref('int_memberships') }}

),

requests as (

    select * from {{ ref('stg_whiteballoon__help_requests') }}

),

comments as (

    select * from {{ ref('stg_whiteballoon__request_comments') }}

),

analyses as (

    select
        comment_id,
        nullif(resource_tags || request_tags || tags, '[]') as labels
    from {{ ref('stg_whiteballoon__comment_llm_analyses') }}

),

final as (

    select
        memberships.membership_id,
        comments.comment_id,
        comments.help_request_id,
        comments.created_at,
        case
            when
                {{ may_hold_links('comments.body') }}
                or {{ may_hold_reactions('comments.body') }}
                or {{ may_hold_attachments('comments.body') }}
                then comments.body
        end as body,
        analyses.labels
    from comments
    left join analyses on comments.comment_id = analyses.comment_id
    inner join (memberships inner join requests on memberships.request_title = requests.title)
        on
            comments.help_request_id = requests.help_request_id
            and comments.user_id = memberships.user_id

)

select * from final
