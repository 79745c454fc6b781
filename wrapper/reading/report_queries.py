"""What `wrapper report` asks of the published relations, with {scope} as the scope's condition.

Every order ends in columns that are unique among the rows.
"""

# Addresses that mean something on one network only: names without a dot, of a local domain, and private IPv4.
NOT_LOCAL = """(
    domain ~ '[.]' and not domain collate "C" ~ (
        '[.](localhost|local|localdomain|lan|home|internal|intranet|corp|home[.]arpa)$'
        || '|^(0|10|127|169[.]254|172[.](1[6-9]|2[0-9]|3[01])|192[.]168'
        || '|100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))[.][0-9.]+$'
    )
)"""

TOTALS = """
select
    count(distinct user_id) as members, count(*) as snapshots, count(distinct group_slug) as groups,
    coalesce(sum(message_count), 0)::bigint as messages, min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from {snapshots} where {scope}
"""

GROUPS = """
select
    group_slug, count(*) as members, sum(message_count)::bigint as messages, min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from {snapshots} where {scope}
group by group_slug
order by messages desc, group_slug collate "C" limit {limit}
"""

# Only where memberships are published.
SILENT = """
select group_slug, count(*) as count
from (
    select user_id, group_slug from {memberships} where {scope}
    except select user_id, group_slug from {snapshots} where {scope}
) as silent
group by group_slug
"""

# Only where months are published. The rows without a group are sums over all groups.
MONTHS = """
select group_slug, month, sum(message_count)::bigint as count from {months} where {scope}
group by grouping sets ((group_slug, month), (month))
"""
MONTHS_OF_MEMBERS = """
select user_id, month, sum(message_count)::bigint as count from {months}
where user_id = any(%(members)s) and {scope} group by user_id, month
"""
MONTHS_OF_MEMBERSHIPS = """
select user_id, group_slug, month, message_count as count from {months} where user_id = any(%(members)s) and {scope}
"""

_NEWEST = """
with newest as (
    select group_slug, max(last_seen_at) as newest_at from {snapshots} where {scope} group by group_slug
)
"""
NEWCOMERS = (
    _NEWEST
    + """
select user_id, group_slug, message_count, first_seen_at as moment, count(*) over () as total
from {snapshots} inner join newest using (group_slug)
where first_seen_at > newest_at - {quiet_days} * interval '1 day'
order by first_seen_at desc, user_id, group_slug collate "C" limit {limit}
"""
)
QUIET = (
    _NEWEST
    + """
select user_id, group_slug, message_count, last_seen_at as moment, count(*) over () as total
from {snapshots} inner join newest using (group_slug)
where message_count >= {quiet_messages} and last_seen_at < newest_at - {quiet_days} * interval '1 day'
order by message_count desc, user_id, group_slug collate "C" limit {limit}
"""
)

MEMBERS = """
select
    user_id, sum(message_count)::bigint as messages, min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    array_agg(group_slug order by message_count desc, group_slug collate "C") as slugs
from {snapshots} where {scope}
group by user_id
order by messages desc, user_id limit {members_limit}
"""

REASONS = """
select reason, is_fresh, count(*) as count, (array_agg(user_id order by user_id))[1:{limit}] as members
from {freshness} where {scope}
group by reason, is_fresh
order by is_fresh, count desc, reason
"""

# These are asked of {entries}, a flat view, about its column {label} and the sum of its column {amount}.
TOP_OF_GROUPS = """
select group_slug, label, count
from (
    select
        group_slug, {label} as label, sum({amount})::bigint as count,
        row_number() over (partition by group_slug order by sum({amount}) desc, {label} collate "C") as place
    from {entries} where {scope} and {shared}
    group by group_slug, {label}
) as ranked
where place <= {top}
order by group_slug collate "C", place
"""
MOST_MEMBERS = """
select {label} as label, count(distinct user_id) as count, sum({amount})::bigint as times
from {entries} where {scope} and {shared}
group by {label}
order by count desc, times desc, {label} collate "C" limit {limit}
"""
MOST_OFTEN = """
select {label} as label, sum({amount})::bigint as count
from {entries} where {scope}
group by {label}
order by count desc, {label} collate "C" limit {limit}
"""
