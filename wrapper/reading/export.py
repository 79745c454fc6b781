"""What the bio generator and the highlight store read: snapshots with their analyses, and which bios are stale."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extras import RealDictCursor

from wrapper.errors import ConfigurationError
from wrapper.nightly.hashes import SNAPSHOT_COLUMNS, await_hashes
from wrapper.scope import EVERYTHING, Scope, refuse_unknown
from wrapper.settings import Settings
from wrapper.snapshot import SignalProfileSnapshot
from wrapper.warehouse import relations
from wrapper.warehouse.connection import NOTHING_PUBLISHED, Warehouse

_BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which snapshots to export: those in the scope whose hash moved since, and whose bio is to be rewritten."""

    scope: Scope
    changed_since: datetime | None = None
    stale: bool = False


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How many bios there are by reason, and those to rewrite, by user and group."""

    counts: dict[str, int]
    to_rewrite: list[dict[str, Any]]


def export(warehouse: Warehouse, selection: Selection) -> Iterator[str]:
    """Yield a line of JSON for each selected snapshot, by user and group, all from one view of the data.

    Raises ConfigurationError where nothing is published yet, or a user or group of the selection is unknown.
    """
    settings = warehouse.settings
    query = sql.SQL(
        """
        select {columns}, coalesce(b.analyses, '[]') as analyses
        from {snapshots} as s
        left join {inputs} as b using (user_id, group_slug)
        where {scope}
            and (%(changed_since)s::timestamptz is null or exists (
                select from {hashes} as h
                where h.user_id = s.user_id and h.group_slug = s.group_slug and h.changed_at >= %(changed_since)s
            ))
            and (not %(stale)s or exists (
                select from {freshness} as f
                where f.user_id = s.user_id and f.group_slug = s.group_slug and not f.is_fresh
            ))
        order by user_id, group_slug collate "C"
        """
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, SNAPSHOT_COLUMNS)),
        snapshots=relations.snapshots(settings),
        inputs=relations.bio_inputs(settings),
        hashes=relations.hashes(settings),
        freshness=relations.freshness(settings),
        scope=selection.scope.predicate,
    )
    parameters = {
        **selection.scope.parameters(),
        "changed_since": selection.changed_since,
        "stale": selection.stale,
    }
    await_hashes(warehouse.connection, settings)
    with reading(warehouse, selection.scope) as connection:
        # With hold: the server keeps the rows when the transaction ends, so a slow reader does not hold back vacuum.
        cursor = connection.cursor(name="export", cursor_factory=RealDictCursor, withhold=True)
        cursor.itersize = _BATCH
        cursor.execute(query, parameters)
    for row in cursor:
        analyses = row.pop("analyses")
        snapshot = SignalProfileSnapshot.from_dict(row)
        yield json.dumps(
            {"snapshot": snapshot.to_dict(), "snapshot_hash": snapshot.snapshot_hash(), "analyses": analyses}
        )


def read_freshness(warehouse: Warehouse) -> Freshness:
    """Return what the freshness view says now.

    Raises ConfigurationError where nothing is published yet.
    """
    view = relations.freshness(warehouse.settings)
    with reading(warehouse) as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(sql.SQL("select reason, count(*) as n from {} group by reason order by reason").format(view))
        counts = {row["reason"]: row["n"] for row in cursor}
        cursor.execute(
            sql.SQL(
                'select user_id, group_slug, reason from {} where not is_fresh order by user_id, group_slug collate "C"'
            ).format(view)
        )
        return Freshness(counts, [dict(row) for row in cursor])


def count_stale_highlights(connection: Connection, settings: Settings) -> int:
    """Return how many of WhiteBalloon's bios are to be rewritten; members without one are not among them."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select count(*) from {} as f inner join {} as h using (user_id) where not f.is_fresh").format(
                relations.freshness(settings), relations.highlights(settings)
            )
        )
        row = cursor.fetchone()
        return int(row[0]) if row else 0


@contextlib.contextmanager
def reading(warehouse: Warehouse, scope: Scope = EVERYTHING, user_argument: str = "--user") -> Iterator[Connection]:
    """Open one read-only moment of what is published.

    Raises ConfigurationError where nothing is published yet, or a user or group of the scope is unknown there;
    `user_argument` is what the command line calls a user.
    """
    settings = warehouse.settings
    with warehouse.connection as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            # The view is what a build makes last.
            if not relations.exists(cursor, relations.freshness(settings)):
                raise ConfigurationError(NOTHING_PUBLISHED)
            # A release without the table of memberships may have published last.
            published = (relations.snapshots(settings), relations.memberships(settings))
            known = [table for table in published if relations.exists(cursor, table)]
            refuse_unknown(cursor, scope, known, user_argument)
        yield connection
