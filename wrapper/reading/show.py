"""One member's published snapshots, with their hashes and what keeps the bio fresh or not."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from wrapper.errors import ConfigurationError
from wrapper.reading.freshness import REASONS
from wrapper.reading.published import reading
from wrapper.reading.terminal import bars, grid, safe
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.snapshots import SNAPSHOT_COLUMNS
from wrapper.wording import counted

_BIO_STYLES = {"fresh": "green", "stale": "yellow", "missing": "yellow"}


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

    Raises ConfigurationError if there are none, the user or a group is unknown, or nothing is published yet.
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
        links=relations.links(settings),
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


def print_cards(console: Console, cards: list[Card]) -> None:
    """Print a card for each snapshot, in a panel on a terminal; of several, a line that lists them comes first."""
    if len(cards) > 1:
        groups = [
            Text.assemble(safe(card.snapshot.group_slug), f" ({counted(card.snapshot.message_count, 'message')})")
            for card in cards
        ]
        console.print(_title(cards[0]) + Text(f" is in {len(cards)} groups: ") + Text(", ").join(groups))
        console.print()
    for card in cards:
        title = Text.assemble(_title(card), " in ", safe(card.snapshot.group_slug), style="bold")
        if console.is_terminal:
            console.print(Panel(Group(*_parts(console, card)), title=title, title_align="left", expand=False))
        else:
            console.print(title, *_parts(console, card), "", sep="\n")


def _title(card: Card) -> Text:
    name = Text() if card.user_name is None else Text.assemble(" (@", safe(card.user_name), ")")
    return Text.assemble("user ", str(card.snapshot.user_id), name)


def _parts(console: Console, card: Card) -> list[RenderableType]:
    snapshot = card.snapshot
    bio = "written from another group" if card.bio is None else REASONS.get(card.bio, card.bio)
    parts: list[RenderableType] = [
        grid(
            ("messages", str(snapshot.message_count)),
            ("first", f"{snapshot.first_seen_at:%Y-%m-%d %H:%M} UTC"),
            ("last", f"{snapshot.last_seen_at:%Y-%m-%d %H:%M} UTC"),
            ("requests", ", ".join(map(str, snapshot.request_ids))),
            ("bio", Text(bio, _BIO_STYLES.get(bio.partition(":")[0], ""))),
        )
    ]
    for heading, counts, style in (
        ("Tags", {tag.label: tag.count for tag in snapshot.top_tags}, "cyan"),
        ("Reactions", _descending(snapshot.reaction_counts), "magenta"),
        ("Attachments", _descending(snapshot.attachment_counts), "blue"),
    ):
        if counts:
            parts += [Text(f"\n{heading}", style="bold"), bars(console, counts, style)]
    if snapshot.top_links:
        rows = [(Text(str(link.count), justify="right"), safe(link.url)) for link in snapshot.top_links]
        parts += [Text("\nLinks", style="bold"), grid(*rows)]
    changed = "" if card.changed_at is None else f"\nsince {card.changed_at:%Y-%m-%d %H:%M %Z}"
    stored = f"{card.snapshot_hash}{changed}" if card.snapshot_hash else "not stored yet: the next run stores it"
    return [*parts, Text(f"\nhash {stored}", style="dim")]


def _descending(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
