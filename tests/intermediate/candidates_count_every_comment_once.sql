-- The comments in scope, counted in another way, equal the sum of message_count: from the sources if they are our own
-- copies, else from the messages that were read, since WhiteBalloon may change while it is read in place.

{% set prefix = var('membership_key_prefix') -%}

with {% if var('whiteballoon_schema') is none -%}
names as (

    select
        user_id,
        substr(key, {{ prefix | length }} + 1) as group_slug,
        case when value ~ '[^ \t\n\r\f\v]' then value else substr(key, {{ prefix | length }} + 1) end as group_name,
        id,
        min(id) over (partition by user_id, key) as first_id
    from {{ source('whiteballoon', 'user_attributes') }}
    where position({{ text_literal(prefix) }} in key) = 1

),

titles as (

    select
        id,
        regexp_replace(title, '^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$', '', 'g') as title
    from {{ source('whiteballoon', 'help_requests') }}

),

authors as (

    select
        help_request_id,
        user_id,
        count(*) as comments
    from {{ source('whiteballoon', 'request_comments') }}
    where deleted_at is null
    group by help_request_id, user_id

),

expected as (

    select coalesce(sum(authors.comments), 0) as comments
    from authors
    inner join titles on authors.help_request_id = titles.id
    inner join names
        on
            authors.user_id = names.user_id
            and names.id = names.first_id
            and names.group_slug > ''
            and octet_length(names.group_slug) <= 2000
            and titles.title = regexp_replace(
                '[Signal] ' || regexp_replace(names.group_name, '^[ \t\n\r\f\v]+', ''), '[ \t\n\r\f\v]+$', ''
            )
    where {{ scope_filter('names.user_id', 'names.group_slug') }}

),
{%- else -%}
expected as (

    select count(*) as comments from {{ ref('int_messages') }}

),
{%- endif %}

actual as (

    select coalesce(sum(message_count), 0) as comments from {{ ref('int_snapshot_candidates') }}

)

select
    expected.comments as expected_comments,
    actual.comments as actual_comments
from expected
cross join actual
where expected.comments <> actual.comments
