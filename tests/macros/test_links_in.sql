-- A few of each kind; tests/wrapper compares thousands of texts with the library itself.

with cases (token, expected) as (

    values
    ('https://example.org/a.', array['https://example.org/a']),
    ('(https://example.org/a)', array['https://example.org/a']),
    ('https://example.org/a_(b)', array['https://example.org/a_(b)']),
    ('HTTPS://u:p@example.org:8080/@x~+1,2…', array['HTTPS://u:p@example.org:8080/@x~+1,2…']),
    ('http://a.example,http://b.example', array['http://a.example', 'http://b.example']),
    ('http://example.org@', '{}'),
    ('xhttp://example.org', '{}'),
    ('ftp://example.org', '{}'),
    ('http://example.org:99999/', '{}')

)

select *
from cases
where
    array(
        select found.groups[1]
        from {{ links_in('cases.token') }} with ordinality as found (groups, match_position)
        where found.groups[1] is not null
        order by found.match_position
    ) is distinct from expected
