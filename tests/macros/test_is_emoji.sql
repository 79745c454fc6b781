with cases (word, expected) as (

    values
    ('👍', true), ('❤️', true), ('❤', true), ('👍🏽', true), ('👩‍👩‍👧', true), ('🇵🇷', true), ('1️⃣', true), ('#️⃣', true),
    ('🏴󠁧󠁢󠁳󠁣󠁴󠁿', true), ('😂😂', true), ('©', true),
    ('7', false), ('+1', false), ('ok', false), ('#', false), ('👍ok', false), ('é', false), ('→x', false)

)

select * from cases where {{ is_emoji('word') }} is distinct from expected
