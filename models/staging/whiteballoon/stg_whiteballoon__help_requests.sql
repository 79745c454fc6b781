with source as (

    select * from {{ source('whiteballoon', 'help_requests') }}

),

final as (

    select
        id::bigint as help_request_id,
        {{ trimmed('title::text') }} collate "C" as title
    from source

)

select * from final
