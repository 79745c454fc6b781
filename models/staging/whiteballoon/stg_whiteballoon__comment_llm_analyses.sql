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
        tags_json,
        help_request_id,
        run_id,
        summary,
        audience,
        residency_stage,
        location,
        location_precision,
        urgency,
        sentiment,
        notes,
        recorded_at
    from source

)

select * from final
