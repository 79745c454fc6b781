"""The run log: one JSON line per run, appended so that torn or concurrent writes damage no other line."""

import dataclasses
import fcntl
import json
import os
from pathlib import Path

from wrapper.errors import ConfigurationError
from wrapper.warehouse.embedded_user import make_storage_dir

NAME = "signal_profile_snapshot.log"


@dataclasses.dataclass
class Entry:
    """One run. Counts that the run did not reach are None. docs/operating.md describes the fields."""

    timestamp: str
    run_id: str
    dry_run: bool
    group_slugs: list[str] | None
    user_ids: list[int] | None
    output_dir: str | None
    version: str
    status: str = "success"
    built: bool | None = None
    target_users: int | None = None
    attempted: int | None = None
    generated: int | None = None
    skipped: int | None = None
    changed: int | None = None
    unchanged: int | None = None
    removed: int | None = None
    snapshots_digest: str | None = None
    duration_seconds: float | None = None
    error: str | None = None

    def to_json(self) -> str:
        """Return the entry as one line of JSON, without the newline."""
        return json.dumps(dataclasses.asdict(self))


class RunLog:
    """The log file in a storage directory, opened before the run so that every run can be logged.

    Raises ConfigurationError if it cannot be written.
    """

    def __init__(self, storage_dir: Path) -> None:
        path = storage_dir / NAME
        try:
            make_storage_dir(storage_dir)
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"STORAGE_DIR: {path} cannot be written: {error.strerror}") from error

    def append(self, entry: Entry) -> None:
        """Append the entry as a line of its own, terminating a line that a killed run left incomplete.

        Raises ConfigurationError if it cannot be written, for example because the disk is full.
        """
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._descriptor).st_size
            torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
            with os.fdopen(os.dup(self._descriptor), "ab") as file:
                file.write((b"\n" if torn else b"") + entry.to_json().encode() + b"\n")
        except OSError as error:
            ended = repr(entry.status) if entry.error is None else f"{entry.status!r} ({entry.error})"
            raise ConfigurationError(
                f"STORAGE_DIR: the run ended with {ended}, but {NAME} cannot be written: {error.strerror}"
            ) from error
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
