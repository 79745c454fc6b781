-- The comments in scope, counted straight from the sources by another path, equal the sum of message_count.

with names as (

    select
        user_id,
        regexp_replace(key, '^[^:]*:', '') as group_slug,
        coalesce(nullif(regexp_replace(value, '^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$', '', 'g'), ''),
            regexp_replace(key, '^[^:]*:', '')) as group_name,
        id,
        min(id) over (partition by user_id, key) as first_id
    from {{ source('whiteballoon', 'user_attributes') }}
    where key like 'signal\_import\_group:_%'

),

titles as (

    select
        id,
        regexp_replace(title, '^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$', '', 'g') as title
    from {{ source('whiteballoon', 'help_requests') }}

),

expected as (

    select count(*) as comments
    from {{ source('whiteballoon', 'request_comments') }} as comments
    inner join titles on comments.help_request_id = titles.id
    inner join names
        on
            comments.user_id = names.user_id
            and names.id = names.first_id
            and regexp_replace('[Signal] ' || names.group_name, '[ \t\n\r\f\v]+$', '') = titles.title
    where
        {{ scope_filter('names.user_id', 'names.group_slug') }}
        {% if var('whiteballoon_schema') is none -%}
            and comments.deleted_at is null
        {%- else -%}
            -- WhiteBalloon goes on living while it is read in place.
            and comments.id <= (
                select coalesce(max(comment_id), 9223372036854775807) from {{ ref('int_messages') }}
            )
            and (comments.deleted_at is null or comments.deleted_at >= '{{ run_started_at }}')
        {%- endif %}

),

actual as (

    select coalesce(sum(message_count), 0) as comments from {{ ref('int_snapshot_candidates') }}

)

select
    expected.comments as expected_comments,
    actual.comments as actual_comments
from expected
cross join actual
where expected.comments <> actual.comments
