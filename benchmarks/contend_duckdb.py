"""The snapshots by DuckDB over Postgres's tables or WhiteBalloon's two SQLite files; only what is attached differs.

The link and closing-line rules are cut down to what the generated bodies hold: RE2 has no lookahead.
"""

from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import duckdb
import duckdb_extension_postgres_scanner
import duckdb_extension_sqlite_scanner

from benchmarks.contender import Row, contend, is_postgres

Connection: TypeAlias = duckdb.DuckDBPyConnection
KINDS = Path(__file__).parents[1] / "seeds" / "attachment_kinds.csv"

SQL = r"""
create temp table messages as
select
    m.id as membership_id, m.user_id, substr(m.key, 21) as group_slug,
    c.id as comment_id, c.help_request_id, c.created_at,
    case when contains(c.body, '://') or contains(c.body, '(Reactions: ') or contains(c.body, '[attachments: ')
        then c.body end as body
from wb.request_comments as c
join wb.help_requests as r on c.help_request_id = r.id
join wb.user_attributes as m on m.user_id = c.user_id and trim(r.title) = '[Signal] ' || trim(m.value)
where c.deleted_at is null and starts_with(m.key, 'signal_import_group:');

create temp table links as
with tokens as (
    select membership_id, created_at, comment_id, unnest(tokens) as token, generate_subscripts(tokens, 1) as position
    from (
        select membership_id, created_at, comment_id, regexp_extract_all(body, '\S*://\S+') as tokens
        from messages where contains(body, '://')
    )
),
found as (
    select *, regexp_extract(token, 'https?://[^\s<>()]*[^\s<>().]') as link from tokens
),
split as (
    select
        *,
        lower(regexp_extract(link, '^https?://[^/?#]+')) as origin,
        regexp_extract(link, '^https?://[^/?#]+([^?#]*)', 1) as path,
        list_filter(
            string_split(regexp_extract(link, '\?([^#]*)', 1), '&'),
            lambda p: p <> '' and not starts_with(p, 'utm_') and not starts_with(p, 'fbclid=')
        ) as parameters
    from found
),
canonical as (
    select
        membership_id,
        origin || if(path = '', '/', path) || if(len(parameters) = 0, '', '?' || array_to_string(parameters, '&'))
            as url,
        regexp_replace(origin, '^https?://(www\.)?', '') as domain,
        row(created_at, comment_id, position) as appearance
    from split
),
counted as (
    select membership_id, url, any_value(domain) as domain, count(*) as count, min(appearance) as first
    from canonical group by membership_id, url
)
select membership_id, list({'url': url, 'domain': domain, 'count': count} order by count desc, first)[:5] as top_links
from counted group by membership_id;

create temp table tags as
with labels as (
    select membership_id, created_at, comment_id, unnest(labels) as label, generate_subscripts(labels, 1) as position
    from (
        select
            m.membership_id, m.created_at, m.comment_id,
            list_concat(
                from_json(a.resource_tags, '["varchar"]'), from_json(a.request_tags, '["varchar"]'),
                from_json(a.tags, '["varchar"]')
            ) as labels
        from messages as m join wb.comment_llm_analyses as a using (comment_id)
    )
),
counted as (
    select membership_id, label, count(*) as count, min(row(created_at, comment_id, position)) as first
    from labels group by membership_id, label
)
select membership_id, list({'label': label, 'count': count} order by count desc, first)[:5] as top_tags
from counted group by membership_id;

create temp table reactions as
with entries as (
    select membership_id, unnest(string_split(regexp_extract(body, '\(Reactions: (.+)\)$', 1), ',')) as entry
    from messages where contains(body, '(Reactions: ')
),
counted as (
    select membership_id, emoji, count(*) as count
    from (select membership_id, regexp_extract(entry, '\S+$') as emoji from entries)
    group by all having regexp_matches(emoji, '[^\x00-\x7F]')
)
select membership_id, list({'key': emoji, 'count': count}) as reactions from counted group by membership_id;

create temp table attachments as
with names as (
    select
        membership_id,
        trim(unnest(string_split(regexp_extract(body, '\n\[attachments: ([^\n]+)\]', 1), ','))) as name
    from messages where contains(body, '[attachments: ')
),
extensions as (
    select membership_id, if(contains(name, '.'), lower(regexp_extract(name, '\.([^.]*)$', 1)), null) as extension,
        count(*) as count
    from names group by all
),
counted as (
    select membership_id, coalesce(kind, 'other') as kind, sum(count)::bigint as count
    from extensions left join kinds using (extension) group by all
)
select membership_id, list({'key': kind, 'count': count}) as attachments from counted group by membership_id;

create temp table snapshots as
with activity as (
    select
        membership_id, any_value(user_id) as user_id, any_value(group_slug) as group_slug, count(*) as message_count,
        min(created_at) as first_seen_at, max(created_at) as last_seen_at,
        list(distinct help_request_id order by help_request_id) as request_ids
    from messages group by membership_id
)
select
    user_id, group_slug, message_count, first_seen_at, last_seen_at, coalesce(top_links, []) as top_links,
    coalesce(top_tags, []) as top_tags, coalesce(reactions, []) as reactions, coalesce(attachments, []) as attachments,
    request_ids
from activity
left join links using (membership_id) left join tags using (membership_id)
left join reactions using (membership_id) left join attachments using (membership_id);
"""


def attach_postgres(connection: Connection, url: str, schema: str) -> tuple[str, str]:
    """Attach the warehouse, and return where the tables of app.db and the analyses are."""
    _load(connection, duckdb_extension_postgres_scanner)
    connection.execute("set pg_pages_per_task = 1000")
    connection.execute(f"attach '{url}' as wb_database (type postgres, schema '{schema}', read_only)")
    return f"wb_database.{schema}", f"wb_database.{schema}"


def attach_sqlite(connection: Connection, app: str, analyses: str) -> tuple[str, str]:
    """Attach the two files, and return where the tables of app.db and the analyses are."""
    _load(connection, duckdb_extension_sqlite_scanner)
    connection.execute(f"attach '{app}' as wb_app (type sqlite, read_only)")
    connection.execute(f"attach '{analyses}' as wb_analyses (type sqlite, read_only)")
    return "wb_app", "wb_analyses"


def _load(connection: Connection, extension: ModuleType) -> None:
    # From the wheel, since DuckDB would download it.
    [file] = Path(str(extension.__file__)).parent.rglob("*.duckdb_extension")
    connection.execute(f"load '{file}'")


def compute(*source: str) -> list[Row]:
    """Pull the tables and return the snapshots' rows."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    app, analyses = (attach_postgres if is_postgres(source[0]) else attach_sqlite)(connection, *source)
    connection.execute("create schema wb")
    for table in ("user_attributes", "help_requests", "request_comments"):
        connection.execute(f"create view wb.{table} as from {app}.{table}")
    connection.execute(f"create view wb.comment_llm_analyses as from {analyses}.comment_llm_analyses")
    connection.execute(f"create view kinds as from read_csv('{KINDS}')")
    connection.execute(SQL)
    names = ("user_id", "group_slug", "message_count", "first_seen_at", "last_seen_at", "top_links", "top_tags")
    rows = connection.execute("from snapshots").fetchall()
    return [
        {
            **dict(zip(names, row[:7], strict=True)),
            "reaction_counts": {entry["key"]: entry["count"] for entry in row[7]},
            "attachment_counts": {entry["key"]: entry["count"] for entry in row[8]},
            "request_ids": row[9],
        }
        for row in rows
    ]


if __name__ == "__main__":
    contend(compute)
