with cases (tags, tags_json, expected) as (

    values
    ('["a", 7, " b "]', '["a", null, " b "]'::jsonb, '["a", null, " b "]'::jsonb),
    (E' a ,\t\nb c\u00A0,, d\x0B', null, E'["a", "b c\u00A0", "", "d"]'),
    ('{"a": 1}', null, '["{\"a\": 1}"]'),
    (',', null, '["", ""]'),
    ('[]', '[]', '[]'),
    (' ', null, '[]'),
    (null, null, '[]')

)

select *
from cases
where {{ tag_array('tags', 'tags_json') }} is distinct from expected
