with cases (tags, tags_json, expected) as (

    values
    ('["a", 7, " b "]', '["a", null, " b "]'::jsonb, array['a', ' b ']),
    (' a , b,, c', null, array['a', 'b', '', 'c']),
    ('[]', '[]', '{}'::text[]),
    (null, null, '{}'::text[])

)

select *
from cases
where
    array(
        select entry.label
        from {{ tag_entries('cases.tags', 'cases.tags_json') }} as entry (label, entry_position)
        order by entry.entry_position
    ) is distinct from expected
