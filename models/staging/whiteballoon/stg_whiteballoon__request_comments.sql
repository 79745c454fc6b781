with source as (

    select * from {{ source('whiteballoon', 'request_comments') }}

),

final as (

    select
        id::bigint as comment_id,
        help_request_id::bigint as help_request_id,
        user_id::bigint as user_id,
        coalesce(body::text, '') collate "C" as body,
        created_at::timestamp as created_at
    from source
    where deleted_at is null

)

select * from final
