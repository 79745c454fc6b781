with source as (

    select * from {{ source('whiteballoon', 'user_attributes') }}

),

final as (

    select
        id::bigint as user_attribute_id,
        user_id::bigint as user_id,
        key::text collate "C" as attribute_key,
        value::text collate "C" as attribute_value
    from source

)

select * from final
