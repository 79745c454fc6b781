"""What `show` and `status` print for people."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from wrapper.reading.show import Card
from wrapper.reading.status import OVERDUE_AFTER, Status
from wrapper.reading.terminal import bars, grid, safe, table

_STATUS_STYLES = {"success": "green", "failed": "red", "locked": "yellow", "interrupted": "yellow"}


def print_cards(console: Console, cards: list[Card]) -> None:
    """Print a card for each snapshot: in a panel on a terminal, under its title in a pipe."""
    for card in cards:
        snapshot = card.snapshot
        name = Text() if card.user_name is None else Text.assemble(" (@", safe(card.user_name), ")")
        title = Text.assemble("user ", str(snapshot.user_id), name, " in ", safe(snapshot.group_slug), style="bold")
        facts = [
            ("messages", str(snapshot.message_count)),
            ("seen", f"{snapshot.first_seen_at:%Y-%m-%d %H:%M} to {snapshot.last_seen_at:%Y-%m-%d %H:%M} UTC"),
            ("requests", ", ".join(map(str, snapshot.request_ids))),
            ("bio", card.bio or "of another group"),
            ("hash", card.snapshot_hash or "not stored yet: the next run does it"),
            ("changed", "" if card.changed_at is None else f"{card.changed_at:%Y-%m-%d %H:%M %Z}"),
        ]
        parts: list[RenderableType] = [grid(*facts)]
        for heading, counts in (
            ("Tags", {tag.label: tag.count for tag in snapshot.top_tags}),
            ("Links by domain", card.domains),
            ("Reactions", _descending(snapshot.reaction_counts)),
            ("Attachments", _descending(snapshot.attachment_counts)),
        ):
            if counts:
                parts += [Text(f"\n{heading}", style="bold"), bars(counts)]
        if snapshot.top_links:
            rows = [(Text(str(link.count), justify="right"), safe(link.url)) for link in snapshot.top_links]
            parts += [Text("\nLinks", style="bold"), grid(*rows)]
        if console.is_terminal:
            console.print(Panel(Group(*parts), title=title, title_align="left", expand=False))
        else:
            console.print(title, *parts, "", sep="\n")


def print_status(console: Console, status: Status, log: Path) -> None:
    """Print the runs as a table, the last failure's reason, and a warning if the last success is too long ago.

    The warning names the log, since another working directory may have another one.
    """
    rows = [
        (
            run.timestamp[:16].replace("T", " "),
            Text.assemble(safe(run.status), " (dry)" if run.dry_run else "", style=_STATUS_STYLES.get(run.status, "")),
            "all" if run.user_ids is None else ", ".join(map(str, run.user_ids)),
            "all" if run.group_slugs is None else Text(", ").join(map(safe, run.group_slugs)),
            _number(run.generated),
            _number(run.changed),
            _number(run.removed),
            "" if run.duration_seconds is None else f"{run.duration_seconds:.1f}",
        )
        for run in status.runs
    ]
    numbers = ("snapshots", "changed", "removed", "seconds")
    console.print(table(("UTC", "status", "members", "groups", *numbers), rows, right=numbers))
    if status.last_failure is not None:
        failure = status.last_failure
        console.print(Text.assemble(f"last failure, {failure.timestamp[:16]}: ", safe(failure.error or "no reason")))
    if status.overdue:
        hours = int(OVERDUE_AFTER.total_seconds() // 3600)
        groups = Text(" or ").join(map(safe, status.overdue_groups))
        covered = Text.assemble("group ", groups) if groups else Text("all members")
        last = f"none in {log}" if status.last_success is None else f"last at {status.last_success.timestamp[:16]} UTC"
        warning = Text.assemble("warning: no run of ", covered, f" has published for {hours} hours ({last})")
        warning.stylize("bold yellow")
        console.print(warning)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _descending(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
