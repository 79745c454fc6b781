-- enable_memoize is off: most analyses have different tags, so caching their expansions costs more than it saves.
{{ config(pre_hook="set local enable_memoize = off") }}

with messages as (

    select * from {{ ref('int_messages') }} where labels is not null

),

entries as (

    select
        messages.membership_id,
        entry.label,
        row_number() over (
            partition by messages.membership_id
            order by messages.created_at, messages.comment_id, entry.entry_position
        ) as appearance
    from messages
    cross join lateral jsonb_array_elements_text(messages.labels) with ordinality as entry (label, entry_position)
    where {{ trimmed('entry.label') }} <> ''

),

final as (

    select
        membership_id,
        label,
        count(*) as tag_count,
        min(appearance) as first_appearance
    from entries
    group by membership_id, label

)

select * from final
