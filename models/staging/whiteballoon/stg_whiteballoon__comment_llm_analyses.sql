with source as (

    select * from {{ source('whiteballoon_analyses', 'comment_llm_analyses') }}

),

final as (

    select
        comment_id,
        resource_tags collate "C" as resource_tags,
        resource_tags_json,
        request_tags collate "C" as request_tags,
        request_tags_json,
        tags collate "C" as tags,
        tags_json
    from source

)

select * from final
