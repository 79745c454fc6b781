-- Most analyses have tags of their own: to remember what others expand to costs more than it spares.
{{ config(pre_hook="set local enable_memoize = off") }}

with messages as (

    select * from {{ ref('int_messages') }}

),

analyses as (

    select * from {{ ref('stg_whiteballoon__comment_llm_analyses') }}

),

labels as (

    select
        messages.membership_id,
        entry.label,
        row_number() over (
            partition by messages.membership_id
            order by messages.created_at, messages.comment_id, entry.entry_position
        ) as appearance
    from messages
    inner join analyses on messages.comment_id = analyses.comment_id
    cross join lateral jsonb_array_elements_text(
        {{ tag_array('analyses.resource_tags', 'analyses.resource_tags_json') }}
        || {{ tag_array('analyses.request_tags', 'analyses.request_tags_json') }}
        || {{ tag_array('analyses.tags', 'analyses.tags_json') }}
    ) with ordinality as entry (label, entry_position)
    where {{ trimmed('entry.label') }} <> ''

),

final as (

    select
        membership_id,
        label,
        count(*) as tag_count,
        min(appearance) as first_appearance
    from labels
    group by membership_id, label

)

select * from final
