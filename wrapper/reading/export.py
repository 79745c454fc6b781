"""The published snapshots as JSON lines, with their hashes and the analyses that a bio is written from."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime

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


def export_lines(warehouse: Warehouse, selection: Selection) -> Iterator[str]:
    """Yield a line of JSON for each selected snapshot, ordered by user and group, from one moment of the data.

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
        # `with hold` keeps the rows after the transaction ends, so a slow reader does not hold back vacuum.
        cursor = connection.cursor(name="export", cursor_factory=RealDictCursor, withhold=True)
        cursor.itersize = _BATCH
        cursor.execute(query, parameters)
    for row in cursor:
        analyses = row.pop("analyses")
        snapshot = SignalProfileSnapshot.from_dict(row)
        yield json.dumps(
            {"snapshot": snapshot.to_dict(), "snapshot_hash": snapshot.snapshot_hash(), "analyses": analyses}
        )
