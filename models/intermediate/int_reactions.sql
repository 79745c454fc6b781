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

words as materialized (

    -- Materialized, so that the pattern sees each word once, not each of its occurrences.
    select
        membership_id,
        word,
        count(*) as occurrences
    from entries
    group by membership_id, word

),

final as (

    select
        membership_id,
        word as emoji,
        occurrences as reaction_count
    from words
    -- An entry without an emoji is the first half of a name with a comma in it.
    where {{ is_emoji('word') }}

)

select * from final
