"""The rows of the published snapshots, or of their candidates, read as a stream."""

import dataclasses
from collections.abc import Iterator

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extras import RealDictCursor

from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot

_BATCH = 1000
SNAPSHOT_COLUMNS = [field.name for field in dataclasses.fields(SignalProfileSnapshot)]


def read_snapshots(connection: Connection, table: sql.Identifier, scope: Scope) -> Iterator[SignalProfileSnapshot]:
    """Yield the table's snapshots in the scope, ordered by user and group, through a server-side cursor."""
    with connection.cursor(name="snapshots", cursor_factory=RealDictCursor) as cursor:
        cursor.itersize = _BATCH
        cursor.execute(
            sql.SQL('select {} from {} where {} order by user_id, group_slug collate "C"').format(
                sql.SQL(", ").join(map(sql.Identifier, SNAPSHOT_COLUMNS)), table, scope.predicate
            ),
            scope.parameters(),
        )
        for row in cursor:
            yield SignalProfileSnapshot.from_dict(row)
