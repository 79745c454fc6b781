with memberships as (

    select * from {{ ref('int_memberships') }}

),

requests as (

    select * from {{ ref('stg_whiteballoon__help_requests') }}

),

comments as (

    select * from {{ ref('stg_whiteballoon__request_comments') }}

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
        end as body
    from memberships
    inner join requests on memberships.request_title = requests.title
    inner join comments
        on
            requests.help_request_id = comments.help_request_id
            and memberships.user_id = comments.user_id

)

select * from final
