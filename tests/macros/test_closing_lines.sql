with cases (body, expected_reactions, expected_attachments) as (

    values
    (E'hi\n\n[attachments: a.png, b.mp4]\n(Reactions: Jo 👍)', 'Jo 👍', 'a.png, b.mp4'),
    (E'hi\n\n(Reactions: Jo 👍)', 'Jo 👍', null),
    (E'hi\n\n[attachments: a.png]', null, 'a.png'),
    ('[attachments: a.png]', null, 'a.png'),
    (E'hi\n  (Reactions: Jo 👍)\t\n \n', 'Jo 👍', null),
    (E'hi\n[attachments: a.png]\n\n(Reactions: Jo 👍)', 'Jo 👍', null),
    (E'hi\n(Reactions: Jo 👍)\n[attachments: a.png]', null, 'a.png'),
    (E'(Reactions: Jo 👍)\nhi', null, null),
    ('hi (Reactions: Jo 👍)', null, null),
    ('(reactions: Jo 👍)', null, null),
    ('(Reactions: )', null, null),
    ('(Reactions:)', null, null),
    ('[Attachments: a.png]', null, null),
    ('[attachments: ]', null, null),
    ('', null, null)

)

select *
from cases
where
    {{ closing_reactions('body') }} is distinct from expected_reactions
    or {{ closing_attachments('body') }} is distinct from expected_attachments
