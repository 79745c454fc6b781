with messages as (

    select * from {{ ref('int_messages') }} where {{ may_hold_reactions('body') }}

),

entries as (

    select
        messages.membership_id,
        {{ last_word('entry.entry') }} as word
    from messages
    cross join lateral string_to_table({{ closing_reactions('messages.body') }}, ',') as entry (entry)

),

final as (

    select
        membership_id,
        word as emoji,
        count(*) as reaction_count
    from entries
    group by membership_id, word
    -- An entry without an emoji is the first half of a name with a comma in it.
    -- After an aggregate, so that the pattern is evaluated once per distinct word of a member.
    having case when count(*) > 0 then {{ is_emoji('word') }} end

)

select * from final
