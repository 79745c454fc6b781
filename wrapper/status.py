"""What the run log says: the last runs, and whether the last good one is too long ago."""

import collections
import dataclasses
import json
import typing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wrapper.errors import ConfigurationError
from wrapper.run_log import NAME, Entry

# A night and a half: one run that was missed is noticed, one that took long is not.
OVERDUE_AFTER = timedelta(hours=36)
# isinstance() knows no list[str], and JSON has no difference between 1 and 1.0.
_KINDS = {**typing.get_type_hints(Entry), "group_slugs": list | None, "duration_seconds": int | float | None}


@dataclasses.dataclass(frozen=True)
class Status:
    """The last runs, oldest first; the last that published, and the last that failed, of all that the log has."""

    runs: list[Entry]
    last_success: Entry | None
    last_failure: Entry | None
    overdue: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return dataclasses.asdict(self)


def read_status(storage_dir: Path, last: int, now: datetime) -> Status:
    """Return the last `last` runs of the log and of the one that logrotate has put beside it.

    Raises ConfigurationError where a log is there and cannot be read.
    """
    runs: collections.deque[Entry] = collections.deque(maxlen=last)
    last_success = last_failure = None
    for entry in _entries(storage_dir):
        runs.append(entry)
        if entry.status == "success" and not entry.dry_run:
            last_success = entry
        elif entry.status == "failed":
            last_failure = entry
    overdue = last_success is None or now - _moment(last_success) > OVERDUE_AFTER
    return Status(list(runs), last_success, last_failure, overdue)


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
        values = json.loads(line)
        if not all(isinstance(values[name], kind) for name, kind in _KINDS.items()):
            return None
        if not all(isinstance(slug, str) for slug in values["group_slugs"] or ()):
            return None
        entry = Entry(**{name: values[name] for name in _KINDS})
        _moment(entry)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return entry


def _moment(entry: Entry) -> datetime:
    moment = datetime.fromisoformat(entry.timestamp)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
