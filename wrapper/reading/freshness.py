"""Which bios are fresh, and which must be rewritten."""

import dataclasses
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from rich.console import Console

from wrapper.reading.published import reading
from wrapper.reading.terminal import safe, table
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.wording import counted

# The reasons of the freshness view, in its order.
REASONS = {
    "manual-override": "fresh: a person wrote it",
    "no-snapshot": "fresh: the member has no snapshot",
    "marked-stale": "stale: WhiteBalloon has marked it",
    "stale-after": "stale: its date of expiry has passed",
    "group-left": "stale: the group it was written from has no snapshot of the member",
    "new-messages": "stale: new messages since it was written",
    "snapshot-mismatch": "stale: the snapshot has changed since it was written",
    "never-glazed": "missing: none has been written yet",
    "up-to-date": "fresh: the snapshot has not changed since it was written",
}


@dataclasses.dataclass(frozen=True)
class Freshness:
    """The number of bios per reason, and the bios to rewrite, ordered by user and group."""

    counts: dict[str, int]
    to_rewrite: list[dict[str, Any]]


def read_freshness(warehouse: Warehouse) -> Freshness:
    """Return what the freshness view says now.

    Raises ConfigurationError if nothing is published yet.
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


def print_freshness(console: Console, found: Freshness) -> None:
    """Print how many bios must be rewritten, how many there are by reason, and the members to write for."""
    verb = "needs" if len(found.to_rewrite) == 1 else "need"
    console.print(f"{len(found.to_rewrite)} of {counted(sum(found.counts.values()), 'member')} {verb} a new bio.")
    rows = [(str(count), reason, REASONS.get(reason, "")) for reason, count in found.counts.items()]
    if rows:
        console.print()
        console.print(table(("bios", "reason", "meaning"), rows, right=("bios",), wrap=("meaning",)))
    rewrite = [(str(row["user_id"]), safe(row["group_slug"]), row["reason"]) for row in found.to_rewrite]
    if rewrite:
        console.print()
        group = "group to write it from"
        console.print(table(("user", group, "reason"), rewrite, right=("user",), wrap=(group,)))
