"""One self-contained page about what is published: counted by SQL, drawn on the server, without a script."""

import base64
import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.errors import ConfigurationError
from wrapper.nightly.snapshot_files import replace_file
from wrapper.reading import report_queries as queries
from wrapper.reading.freshness import REASONS
from wrapper.reading.published import reading
from wrapper.reading.report_drawing import Axis, breakable, decoded
from wrapper.reading.status import OVERDUE_AFTER
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.runs import read_last_run

# How many groups, and how many rows of a table, the page has at most; of members it lists more.
LIMIT = 20
MEMBERS_LIMIT = 1000
# How many tags, domains and emoji a group's card has at most.
TOP = 5
# A newcomer's first message is less old than this when the group's last one is sent. A member with so many messages is
# quiet when the last one is older.
QUIET_DAYS = 60
QUIET_MESSAGES = 10


@dataclasses.dataclass(frozen=True)
class _Entries:
    """A flat view, with the columns that hold what is counted and how often."""

    view: Callable[[Settings], sql.Identifier]
    label: str
    amount: str

    def names(self, settings: Settings) -> dict[str, sql.Composable]:
        """Return what the queries about it name."""
        return {
            "entries": self.view(settings),
            "label": sql.Identifier(self.label),
            "amount": sql.Identifier(self.amount),
            "shared": sql.SQL(queries.NOT_LOCAL if self.view is relations.links else "true"),
        }


_LINKS = _Entries(relations.links, "url", "link_count")
_DOMAINS = _Entries(relations.links, "domain", "link_count")
_TAGS = _Entries(relations.tags, "label", "tag_count")
_EMOJI = _Entries(relations.reactions, "emoji", "reaction_count")
_KINDS = _Entries(relations.attachments, "kind", "attachment_count")
# The tables of what is shared: title, name of the label, unit of the count, query.
_TABLES = [
    ("Links", "link", "members", queries.MOST_MEMBERS, _LINKS),
    ("Domains", "domain", "members", queries.MOST_MEMBERS, _DOMAINS),
    ("Tags", "tag", "members", queries.MOST_MEMBERS, _TAGS),
    ("Reactions", "emoji", "times", queries.MOST_OFTEN, _EMOJI),
    ("Attachments", "kind", "files", queries.MOST_OFTEN, _KINDS),
]


def write_report(warehouse: Warehouse, scope: Scope, path: Path, names: Mapping[int, str]) -> None:
    """Write the page about the scope to `path`, through a link where it is one, with the users' `names` by id.

    Raises ConfigurationError if nothing is published yet, a group of the scope is unknown, or the file cannot be
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

    Raises ConfigurationError if nothing is published yet, or a group of the scope is unknown.
    """
    settings = warehouse.settings
    with reading(warehouse, scope) as connection, connection.cursor() as plain:
        # A release without these tables may have published last.
        has_memberships = relations.exists(plain, relations.memberships(settings))
        has_months = relations.exists(plain, relations.months(settings))

        def rows(query: str, entries: _Entries | None = None, **parameters: object) -> list[dict[str, Any]]:
            names = _names(settings, scope) | ({} if entries is None else entries.names(settings))
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(sql.SQL(query).format(**names), scope.parameters() | parameters)
                return [dict(row) for row in cursor]

        def months(query: str, *people: list[dict[str, Any]]) -> list[dict[str, Any]]:
            members = [person["user_id"] for found in people for person in found]
            return rows(query, members=members) if has_months else []

        members, newcomers, quiet = rows(queries.MEMBERS), rows(queries.NEWCOMERS), rows(queries.QUIET)
        return {
            "last_run": read_last_run(connection, settings, scope),
            "totals": rows(queries.TOTALS)[0],
            "groups": rows(queries.GROUPS),
            "silent": rows(queries.SILENT) if has_memberships else [],
            "months": rows(queries.MONTHS) if has_months else [],
            "tops": {
                title: rows(queries.TOP_OF_GROUPS, entries)
                for title, entries in (("Tags", _TAGS), ("Domains", _DOMAINS), ("Emoji", _EMOJI))
            },
            "newcomers": newcomers,
            "quiet": quiet,
            "months_of_memberships": months(queries.MONTHS_OF_MEMBERSHIPS, newcomers, quiet),
            "tables": [
                {"title": title, "label": label, "unit": unit, "rows": rows(query, entries)}
                for title, label, unit, query, entries in _TABLES
            ],
            "members": members,
            "months_of_members": months(queries.MONTHS_OF_MEMBERS, members),
            "reasons": rows(queries.REASONS),
        }


def render(found: dict[str, Any], scope: Scope, names: Mapping[int, str]) -> str:
    """Return the page; whatever a member wrote is escaped, and the page may load and run nothing."""
    environment = Environment(
        loader=PackageLoader("wrapper.reading"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "decoded": decoded, "thousands": "{:,}".format}
    totals = found["totals"]
    axis = Axis.between(totals["first_seen_at"], totals["last_seen_at"]) if totals["messages"] else None
    style = environment.get_template("report.css").render(axis=axis)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        found,
        style=style,
        style_digest=digest,
        slugs=scope.group_slugs,
        axis=axis,
        group_numbers={group["group_slug"]: number for number, group in enumerate(found["groups"], start=1)},
        counts=_counts(found["months"], "group_slug"),
        counts_of_members=_counts(found["months_of_members"], "user_id"),
        counts_of_memberships=_counts(found["months_of_memberships"], "user_id", "group_slug"),
        listed={member["user_id"] for member in found["members"]},
        names=names,
        words=REASONS,
        overdue_after=OVERDUE_AFTER,
        limit=LIMIT,
        quiet_days=QUIET_DAYS,
        quiet_messages=QUIET_MESSAGES,
    )


def _counts(months: list[dict[str, Any]], *keys: str) -> dict[Any, dict[date, int]]:
    counts: dict[Any, dict[date, int]] = defaultdict(dict)
    for row in months:
        key = tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]
        counts[key][row["month"]] = row["count"]
    return counts


def _names(settings: Settings, scope: Scope) -> dict[str, sql.Composable]:
    published = {
        "snapshots": relations.snapshots,
        "memberships": relations.memberships,
        "months": relations.months,
        "freshness": relations.freshness,
    }
    numbers = {
        "limit": LIMIT,
        "members_limit": MEMBERS_LIMIT,
        "top": TOP,
        "quiet_days": QUIET_DAYS,
        "quiet_messages": QUIET_MESSAGES,
    }
    return {
        **{name: relation(settings) for name, relation in published.items()},
        **{name: sql.Literal(value) for name, value in numbers.items()},
        "scope": scope.predicate,
    }
