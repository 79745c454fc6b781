"""One member's published snapshots, with their hashes and what keeps the bio fresh or not."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from wrapper.errors import ConfigurationError
from wrapper.nightly.hashes import SNAPSHOT_COLUMNS
from wrapper.reading.export import reading
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse


@dataclasses.dataclass(frozen=True)
class Card:
    """A published snapshot and what is known beside it; a bio is of one group, in the others it has no reason.

    The name is None unless it was asked for.
    """

    snapshot: SignalProfileSnapshot
    snapshot_hash: str | None
    changed_at: datetime | None
    bio: str | None
    domains: dict[str, int]
    user_name: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return {
            **({} if self.user_name is None else {"user_name": self.user_name}),
            "snapshot": self.snapshot.to_dict(),
            "snapshot_hash": self.snapshot_hash,
            "changed_at": None if self.changed_at is None else self.changed_at.isoformat(),
            "bio": self.bio,
            "domains": self.domains,
        }


def read_cards(warehouse: Warehouse, scope: Scope, names: Mapping[int, str]) -> list[Card]:
    """Return the snapshots of the scope's one user, by group, with the user's name if it is in `names`.

    Raises ConfigurationError where there are none, the user or a group is unknown, or nothing is published yet.
    """
    (user_id,) = scope.user_ids or ()
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
        where user_id = %(user_id)s
        order by group_slug collate "C"
        """
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier("s", column) for column in SNAPSHOT_COLUMNS),
        links=sql.Identifier(settings.warehouse_schema, "signal_profile_links"),
        snapshots=relations.snapshots(settings),
        hashes=relations.hashes(settings),
        freshness=relations.freshness(settings),
    )
    with (
        reading(warehouse, scope, "USER") as connection,
        connection.cursor(cursor_factory=RealDictCursor) as cursor,
    ):
        cursor.execute(query, {"user_id": user_id})
        rows = cursor.fetchall()
    shown = [row for row in rows if scope.covers(row["user_id"], row["group_slug"])]
    if not shown:
        if not rows:
            raise ConfigurationError(
                f"USER {user_id} has no published snapshot: there will be one after the member has written in a group"
            )
        asked, theirs = (
            ", ".join(map(repr, scope.group_slugs or ())),
            ", ".join(repr(row["group_slug"]) for row in rows),
        )
        raise ConfigurationError(f"USER {user_id} has no published snapshot in {asked}, but in {theirs}")
    return [
        Card(
            snapshot=SignalProfileSnapshot.from_dict({column: row[column] for column in SNAPSHOT_COLUMNS}),
            snapshot_hash=row["snapshot_hash"],
            changed_at=row["changed_at"],
            bio=row["reason"],
            domains=row["domains"],
            user_name=names.get(user_id),
        )
        for row in shown
    ]
