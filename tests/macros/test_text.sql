with trimming (given, expected) as (

    values
    (E' \t\n\r\f\x0Ba b \t\n\r\f\x0B', 'a b'),
    (E'\u00A0a\u00A0', E'\u00A0a\u00A0'),
    ('', '')

),

words (given, expected) as (

    values
    (E'Ana \t María\x0B👍 ', '👍'),
    ('👍', '👍'),
    (E' \n', '')

),

cases (given, expected) as (

    values
    (E'ÀÉ\u0130\u212A abc ABC', E'ÀÉ\u0130\u212A abc abc')

),

literals (given, expected) as (

    values
    ({{ text_literal("it's \\ {{ 1 }} %s \n\t\"") }}, $$it's \ {{ '{{ 1 }}' }} %s $$ || chr(10) || chr(9) || '"')

)

select * from trimming where {{ trimmed('given') }} is distinct from expected
union all
select * from words where {{ last_word('given') }} is distinct from expected
union all
select * from cases where {{ ascii_lower('given') }} is distinct from expected
union all
select * from literals where given is distinct from expected
