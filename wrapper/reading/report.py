"""One self-contained page about what is published: counted by SQL, drawn on the server, without a script."""

import base64
import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.errors import ConfigurationError
from wrapper.nightly.snapshot_files import replace_file
from wrapper.reading.published import reading
from wrapper.reading.status import OVERDUE_AFTER
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.runs import read_last_run

# How many rows a table of the page has at most.
LIMIT = 20


@dataclasses.dataclass(frozen=True)
class _Section:
    """A table of the page; rows have `label`, `count` and perhaps `detail`, the largest first."""

    title: str
    label: str
    unit: str
    query: str
    note: str = ""
    detail: str | None = None


# {scope} is the scope's condition. Every order ends in something that is another one for each row.
_SECTIONS = [
    _Section(
        "Most messages",
        "user",
        "messages",
        "select user_id as label, message_count as count, group_slug as detail from {snapshots} where {scope} "
        'order by message_count desc, user_id, group_slug collate "C"',
        detail="group",
    ),
    _Section(
        "Groups",
        "group",
        "messages",
        "select group_slug as label, sum(message_count)::bigint as count, count(*)::text as detail from {snapshots} "
        'where {scope} group by group_slug order by count desc, group_slug collate "C"',
        detail="members",
    ),
    _Section(
        "Most shared links",
        "link",
        "members",
        "select url as label, count(distinct user_id) as count, sum(link_count)::text as detail from {links} "
        'where {scope} group by url order by count desc, sum(link_count) desc, url collate "C"',
        "By how many members have them among their top links.",
        "times",
    ),
    _Section(
        "Most shared domains",
        "domain",
        "members",
        "select domain as label, count(distinct user_id) as count, sum(link_count)::text as detail from {links} "
        'where {scope} group by domain order by count desc, sum(link_count) desc, domain collate "C"',
        "By how many members have them among their top links.",
        "times",
    ),
    _Section(
        "Tags",
        "tag",
        "members",
        "select label, count(distinct user_id) as count, sum(tag_count)::text as detail from {tags} "
        'where {scope} group by label order by count desc, sum(tag_count) desc, label collate "C"',
        "By how many members have them among their top tags.",
        "times",
    ),
    _Section(
        "Reactions",
        "emoji",
        "times",
        "select emoji as label, sum(reaction_count)::bigint as count from {reactions} where {scope} "
        'group by emoji order by count desc, emoji collate "C"',
    ),
    _Section(
        "Attachments",
        "kind",
        "files",
        "select kind as label, sum(attachment_count)::bigint as count from {attachments} where {scope} "
        'group by kind order by count desc, kind collate "C"',
    ),
]
_TOTALS = """
select
    count(distinct user_id) as members, count(*) as snapshots, count(distinct group_slug) as groups,
    coalesce(sum(message_count), 0)::bigint as messages, min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from {snapshots} where {scope}
"""
_RECENT = """
select user_id, group_slug, last_seen_at, message_count from {snapshots} where {scope}
order by last_seen_at desc, user_id, group_slug collate "C" limit {limit}
"""
_MONTHS = """
select to_char(month, 'YYYY-MM') as label, count(user_id) as count
from generate_series(
    (select date_trunc('month', max(last_seen_at)) - interval '23 months' from {snapshots} where {scope}),
    (select date_trunc('month', max(last_seen_at)) from {snapshots} where {scope}),
    interval '1 month'
) as months (month)
left join (select user_id, last_seen_at from {snapshots} where {scope}) as s
    on s.last_seen_at >= month and s.last_seen_at < month + interval '1 month'
group by month
order by month
"""
_REASONS = "select reason as label, count(*) as count from {freshness} where {scope} group by reason order by 2 desc, 1"
_STALE = """
select user_id, group_slug, reason, count(*) over () as total from {freshness} where not is_fresh and {scope}
order by user_id, group_slug collate "C" limit {limit}
"""


def write_report(warehouse: Warehouse, scope: Scope, path: Path, names: Mapping[int, str]) -> None:
    """Write the page about the scope to `path`, through a link where it is one, with the users' `names` by id.

    Raises ConfigurationError where nothing is published yet, a group of the scope is unknown, or the file cannot be
    written.
    """
    found = read_report(warehouse, scope)
    page = render(found, scope, names).encode()
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe, such as /dev/stdout, is written to; only a file may be replaced.
            path.write_bytes(page)
        else:
            replace_file(Path(os.path.realpath(path)), page)
    except OSError as error:
        raise ConfigurationError(f"--output {path} cannot be written: {error.strerror}") from error


def read_report(warehouse: Warehouse, scope: Scope) -> dict[str, Any]:
    """Return what the page shows, all of one moment.

    Raises ConfigurationError where nothing is published yet, or a group of the scope is unknown.
    """
    with reading(warehouse, scope) as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:

        def rows(query: str) -> list[dict[str, Any]]:
            cursor.execute(sql.SQL(query).format(**_names(warehouse.settings, scope)), scope.parameters())
            return [dict(row) for row in cursor]

        return {
            "last_run": read_last_run(connection, warehouse.settings, scope),
            "totals": rows(_TOTALS)[0],
            "sections": [{"section": section, "rows": rows(section.query + " limit {limit}")} for section in _SECTIONS],
            "recent": rows(_RECENT),
            "months": rows(_MONTHS),
            "reasons": rows(_REASONS),
            "stale": rows(_STALE),
        }


def render(found: dict[str, Any], scope: Scope, names: Mapping[int, str]) -> str:
    """Return the page; whatever a member wrote is escaped, and the page may load and run nothing."""

    def with_name(user_id: int) -> str:
        return f"{user_id} @{names[user_id]}" if user_id in names else str(user_id)

    environment = Environment(
        loader=PackageLoader("wrapper.reading"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = environment.get_template("report.html")
    return template.render(
        found,
        style=style,
        style_digest=digest,
        slugs=scope.group_slugs,
        overdue_after=OVERDUE_AFTER,
        limit=LIMIT,
        with_name=with_name,
    )


def _names(settings: Settings, scope: Scope) -> dict[str, sql.Composable]:
    views = {name: f"signal_profile_{name}" for name in ("links", "tags", "reactions", "attachments")}
    return {
        **{name: sql.Identifier(settings.warehouse_schema, view) for name, view in views.items()},
        "snapshots": relations.snapshots(settings),
        "freshness": relations.freshness(settings),
        "scope": scope.predicate,
        "limit": sql.Literal(LIMIT),
    }
