with source as (

    select * from {{ source('whiteballoon_analyses', 'comment_llm_analyses') }}

),

final as (

    select
        comment_id,
        {{ tag_array('resource_tags', 'resource_tags_json') }} as resource_tags,
        {{ tag_array('request_tags', 'request_tags_json') }} as request_tags,
        {{ tag_array('tags', 'tags_json') }} as tags,
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
