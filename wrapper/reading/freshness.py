"""Which bios are fresh, and which must be rewritten."""

import dataclasses
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.reading.published import reading
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse


@dataclasses.dataclass(frozen=True)
class Freshness:
    """The number of bios per reason, and the bios to rewrite, ordered by user and group."""

    counts: dict[str, int]
    to_rewrite: list[dict[str, Any]]


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
