"""What the run log says: the last runs, and whether the last good one is too long ago."""

import collections
import dataclasses
import json
import typing
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from wrapper.errors import ConfigurationError
from wrapper.nightly.run_log import NAME, Entry
from wrapper.reading.terminal import safe, table

# A night and a half: one run that was missed is noticed, one that took long is not.
OVERDUE_AFTER = timedelta(hours=36)
_STYLES = {"success": "green", "failed": "red", "locked": "yellow", "interrupted": "yellow"}
# For all columns of the table.
_LEAST_WIDTH = 72
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
# isinstance() does not know list[str], and JSON makes no difference between 1 and 1.0.
_KINDS = {
    **typing.get_type_hints(Entry), "group_slugs": list | None, "user_ids": list | None,
    "duration_seconds": int | float | None,
}  # fmt: skip
# What lines of older versions lack.
_DEFAULTS = {"user_ids": None, "built": None}


@dataclasses.dataclass(frozen=True)
class Status:
    """The last runs, oldest first, and what all runs of the log say about the present.

    `last_success` is the last published run of what was asked about, of several groups the oldest of theirs, and
    `overdue` whether it is too long ago; `overdue_groups` are the groups asked about of which that holds.
    `open_failure` is the last failure after which no run has published its scope. Dry runs count for none of these.
    """

    runs: list[Entry]
    last_success: Entry | None
    last_failure: Entry | None
    open_failure: Entry | None
    overdue: bool
    overdue_groups: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return dataclasses.asdict(self)


def read_status(storage_dir: Path, last: int, now: datetime, group_slugs: Collection[str] = ()) -> Status:
    """Return the last `last` runs of the log and of the one that logrotate has put beside it.

    Lateness is judged by runs of all members, or by those that covered each of `group_slugs` with all its members.
    Raises ConfigurationError if a log exists and cannot be read.
    """
    runs: collections.deque[Entry] = collections.deque(maxlen=last)
    successes: dict[str | None, Entry | None] = dict.fromkeys(group_slugs or (None,))
    last_failure = None
    open_failures: list[Entry] = []
    for entry in _entries(storage_dir):
        runs.append(entry)
        if entry.dry_run:
            continue
        if entry.status == "success":
            successes |= {slug: entry for slug in successes if _covers(entry, None, None if slug is None else [slug])}
            open_failures = [
                failed for failed in open_failures if not _covers(entry, failed.user_ids, failed.group_slugs)
            ]
        elif entry.status == "failed":
            last_failure = entry
            open_failures.append(entry)
    oldest = min(successes.values(), key=_published_at)
    late = [slug for slug, success in successes.items() if now - _published_at(success) > OVERDUE_AFTER]
    return Status(
        runs=list(runs),
        last_success=oldest,
        last_failure=last_failure,
        open_failure=open_failures[-1] if open_failures else None,
        overdue=bool(late),
        overdue_groups=[slug for slug in late if slug is not None],
    )


def _published_at(success: Entry | None) -> datetime:
    return _LONG_AGO if success is None else _moment(success)


def _covers(run: Entry, user_ids: list[int] | None, group_slugs: list[str] | None) -> bool:
    """Return whether a run's scope contains all these members and groups; None stands for all."""
    return _contains(run.user_ids, user_ids) and _contains(run.group_slugs, group_slugs)


def _contains(outer: Collection[object] | None, inner: Collection[object] | None) -> bool:
    return outer is None or (inner is not None and set(inner) <= set(outer))


def _entries(storage_dir: Path) -> Iterator[Entry]:
    for path in (storage_dir / f"{NAME}.1", storage_dir / NAME):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    if (entry := _parse(line)) is not None:
                        yield entry
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigurationError(f"STORAGE_DIR: {path} cannot be read: {error.strerror}") from error


def _parse(line: str) -> Entry | None:
    """The entry of a line; None for one of another program, or one that a killed run has torn."""
    try:
        values = {**_DEFAULTS, **json.loads(line)}
        if not all(isinstance(values[name], kind) for name, kind in _KINDS.items()):
            return None
        if not all(isinstance(slug, str) for slug in values["group_slugs"] or ()):
            return None
        if not all(isinstance(user_id, int) for user_id in values["user_ids"] or ()):
            return None
        entry = Entry(**{name: values[name] for name in _KINDS})
        _moment(entry)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return entry


def _moment(entry: Entry) -> datetime:
    moment = datetime.fromisoformat(entry.timestamp)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def print_status(console: Console, status: Status, log: Path) -> None:
    """Print the runs as a table, the last failure's reason, and a warning if the last success is too long ago.

    If there are no runs, print how to start. The log is named, since another working directory may have another one.
    """
    if not status.runs and status.last_success is None and status.last_failure is None:
        console.print(Text(f"no run is logged in {log} yet"))
        console.print("check the settings with wrapper doctor, then start the first run with wrapper snapshot --all")
        return
    rows = [
        (
            run.timestamp[:16].replace("T", " "),
            Text.assemble(safe(run.status), " (dry)" if run.dry_run else "", style=_STYLES.get(run.status, "")),
            _number(run.generated),
            _number(run.changed),
            _number(run.removed),
            "" if run.duration_seconds is None else f"{run.duration_seconds:.1f}",
            _scope(run),
        )
        for run in status.runs
    ]
    columns = ("UTC", "status", "snapshots", "changed", "removed", "seconds", "scope")
    # A narrow terminal has room for the first ones.
    shown = len(columns) if console.width >= _LEAST_WIDTH else 3
    cells = [row[:shown] for row in rows]
    console.print(table(columns[:shown], cells, right=columns[2:6], wrap=("status", "scope")))
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


def _scope(run: Entry) -> Text:
    users = None if run.user_ids is None else Text(f"users {', '.join(map(str, run.user_ids))}")
    groups = None if run.group_slugs is None else Text(", ").join(map(safe, run.group_slugs))
    return Text(" in ").join(filter(None, (users, groups))) if users or groups else Text("all")


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
