with messages as (

    select * from {{ ref('int_messages') }}

),

analyses as (

    select * from {{ ref('stg_whiteballoon__comment_llm_analyses') }}

),

labels as (

    select
        messages.user_id,
        messages.group_slug,
        entry.label,
        row_number() over (
            partition by messages.user_id, messages.group_slug
            order by messages.created_at, messages.comment_id, tag_column.column_position, entry.entry_position
        ) as appearance
    from messages
    inner join analyses on messages.comment_id = analyses.comment_id
    cross join lateral (
        values
        (1, analyses.resource_tags, analyses.resource_tags_json),
        (2, analyses.request_tags, analyses.request_tags_json),
        (3, analyses.tags, analyses.tags_json)
    ) as tag_column (column_position, tags, tags_json)
    cross join lateral {{ tag_entries('tag_column.tags', 'tag_column.tags_json') }} as entry (label, entry_position)
    where {{ trimmed('entry.label') }} <> ''

),

final as (

    select
        user_id,
        group_slug,
        label,
        count(*) as tag_count,
        min(appearance) as first_appearance
    from labels
    group by user_id, group_slug, label

)

select * from final
