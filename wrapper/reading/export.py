"""The published snapshots as JSON lines, with their hashes and the analyses that a bio is written from, or as CSV."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.nightly.hashes import await_hashes
from wrapper.reading.published import reading
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.snapshots import SNAPSHOT_COLUMNS

_BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which snapshots to export: those in the scope, optionally only changed ones or only those with a stale bio."""

    scope: Scope
    changed_since: datetime | None = None
    stale: bool = False


@dataclasses.dataclass(frozen=True)
class Exported:
    """A published snapshot, and the analyses of the member's latest messages in the group."""

    snapshot: SignalProfileSnapshot
    analyses: list[dict[str, Any]]


def read_export(warehouse: Warehouse, selection: Selection) -> Iterator[Exported]:
    """Yield the selected snapshots, ordered by user and group, from one moment of the data.

    Raises ConfigurationError if nothing is published yet, or a user or group of the selection is unknown.
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
        # `with hold` keeps the rows after the transaction ends, so a slow reader does not hold back vacuum.
        cursor = connection.cursor(name="export", cursor_factory=RealDictCursor, withhold=True)
        cursor.itersize = _BATCH
        cursor.execute(query, parameters)
    for row in cursor:
        analyses = row.pop("analyses")
        yield Exported(SignalProfileSnapshot.from_dict(row), analyses)


def json_lines(rows: Iterable[Exported]) -> Iterator[str]:
    """Yield a line of JSON for each snapshot, with its hash and its analyses."""
    for row in rows:
        line = {
            "snapshot": row.snapshot.to_dict(),
            "snapshot_hash": row.snapshot.snapshot_hash(),
            "analyses": row.analyses,
        }
        yield json.dumps(line) + "\n"


def csv_lines(rows: Iterable[Exported]) -> Iterator[str]:
    """Yield a header and a record of CSV for each snapshot: its columns, JSON in canonical form, and its hash."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*SNAPSHOT_COLUMNS, "snapshot_hash"])
    # The header comes with the first record, so that an export that fails prints nothing.
    for row in rows:
        values = row.snapshot.to_dict().values()
        cells = [json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value for value in values]
        writer.writerow([*cells, row.snapshot.snapshot_hash()])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
