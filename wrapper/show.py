"""One member's published snapshots, with their hashes and what keeps the bio fresh or not."""

import dataclasses
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.consumers import freshness_view, reading
from wrapper.errors import ConfigurationError
from wrapper.published import SNAPSHOT_COLUMNS, hashes_table, snapshots_table
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot
from wrapper.warehouse import Warehouse


@dataclasses.dataclass(frozen=True)
class Card:
    """A published snapshot and what is known beside it; a bio is of one group, in the others it has no reason."""

    snapshot: SignalProfileSnapshot
    snapshot_hash: str | None
    changed_at: datetime | None
    bio: str | None
    domains: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return {
            "snapshot": self.snapshot.to_dict(),
            "snapshot_hash": self.snapshot_hash,
            "changed_at": None if self.changed_at is None else self.changed_at.isoformat(),
            "bio": self.bio,
            "domains": self.domains,
        }


def read_cards(warehouse: Warehouse, scope: Scope) -> list[Card]:
    """Return the scope's snapshots, by user and group.

    Raises ConfigurationError where the scope holds none, or nothing is published yet.
    """
    settings = warehouse.settings
    query = sql.SQL(
        """
        select
            {columns}, h.snapshot_hash, h.changed_at, f.reason,
            (
                select coalesce(json_object_agg(domain, links order by links desc, domain collate "C"), '{{}}')
                from (
                    select domain, sum(link_count)::bigint as links
                    from {links} as l
                    where l.user_id = s.user_id and l.group_slug = s.group_slug
                    group by domain
                ) as by_domain
            ) as domains
        from {snapshots} as s
        left join {hashes} as h using (user_id, group_slug)
        left join {freshness} as f using (user_id, group_slug)
        where {scope}
        order by user_id, group_slug collate "C"
        """
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier("s", column) for column in SNAPSHOT_COLUMNS),
        links=sql.Identifier(settings.warehouse_schema, "signal_profile_links"),
        snapshots=snapshots_table(settings),
        hashes=hashes_table(settings),
        freshness=freshness_view(settings),
        scope=scope.predicate,
    )
    with reading(warehouse) as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query, scope.parameters())
        rows = cursor.fetchall()
    if not rows:
        users = ", ".join(map(str, scope.user_ids or ()))
        raise ConfigurationError(
            f"USER {users} has no published snapshot: give the id of a member, and to --group-slug a group of theirs"
        )
    return [
        Card(
            snapshot=SignalProfileSnapshot.from_dict({column: row[column] for column in SNAPSHOT_COLUMNS}),
            snapshot_hash=row["snapshot_hash"],
            changed_at=row["changed_at"],
            bio=row["reason"],
            domains=row["domains"],
        )
        for row in rows
    ]
