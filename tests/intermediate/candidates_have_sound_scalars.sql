-- The same as the check constraints of the published table, but earlier: a violated constraint prints the row.

select
    user_id,
    group_slug
from {{ ref('int_snapshot_candidates') }}
where
    group_slug = ''
    or message_count <= 0
    or first_seen_at > last_seen_at
