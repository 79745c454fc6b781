with messages as (

    select * from {{ ref('int_messages') }} where body like '%(Reactions: %'

),

entries as (

    select
        messages.user_id,
        messages.group_slug,
        {{ last_word('entry.entry') }} as word
    from messages
    cross join lateral string_to_table({{ closing_reactions('messages.body') }}, ',') as entry (entry)

),

final as (

    select
        user_id,
        group_slug,
        word as emoji,
        count(*) as reaction_count
    from entries
    -- An entry without an emoji is the first half of a name with a comma in it.
    where {{ is_emoji('word') }}
    group by user_id, group_slug, word

)

select * from final
