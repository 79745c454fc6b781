"""One run of `wrapper snapshot`: load, build, hash, files, run log, metrics."""

import dataclasses
import importlib.metadata
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper import interrupts
from wrapper.errors import BuildError, WrapperError
from wrapper.nightly import dbt_client, hashes, highlights, metrics, people, snapshot_files, unchanged
from wrapper.nightly.after_publishing import telling
from wrapper.nightly.highlights import count_stale_highlights
from wrapper.nightly.in_place import source_vars
from wrapper.nightly.load import load
from wrapper.nightly.run_log import Entry, RunLog
from wrapper.nightly.unchanged import Unit
from wrapper.scope import Scope
from wrapper.settings import Settings, read_disagreements, read_settings, read_storage_dir
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse, open_warehouse
from wrapper.warehouse.contract import check_version
from wrapper.warehouse.error_text import first_line
from wrapper.warehouse.known import holds_anything
from wrapper.warehouse.runs import record_run
from wrapper.warehouse.snapshots import read_snapshots


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for on the command line."""

    scope: Scope
    dry_run: bool
    rebuild: bool
    accept_losses: bool
    output_dir: Path | None
    wait_seconds: float


@dataclasses.dataclass(frozen=True)
class Listener:
    """Callbacks for a run: warnings, remarks, what it is doing, and finally the run-log entry."""

    warning: Callable[[str], None]
    remark: Callable[[str], None]
    progress: Callable[[str], None]
    entry: Callable[[Entry], None]


def run_snapshot(request: Request, listener: Listener) -> Entry:
    """Run once and return the run-log entry, which is logged and sent as metrics however the run ends.

    Raises WrapperError or KeyboardInterrupt, after logging.
    """
    log = RunLog(read_storage_dir())
    started = time.monotonic()
    settings = None
    stale_highlights = None
    entry = Entry(
        timestamp=datetime.now(UTC).isoformat(),
        run_id=uuid.uuid4().hex,
        dry_run=request.dry_run,
        **request.scope.parameters(),
        output_dir=None if request.output_dir is None else str(request.output_dir),
        version=importlib.metadata.version("signal-profile-snapshots"),
    )
    try:
        # Interrupts wait once the run has ended or failed, so that it is logged with its real outcome.
        with interrupts.let_in():
            settings = read_settings()
            for disagreement in read_disagreements():
                listener.warning(f"warning: {disagreement}")
            if not settings.enabled and not request.dry_run:
                entry.status = "disabled"
                listener.warning("PROFILE_SIGNAL_GLAZE is off, so nothing was done: set it to 1 to let runs publish")
            else:
                stale_highlights = _run(settings, request, entry, listener)
    except WrapperError as error:
        entry.status, entry.error = error.status, error.logged
        raise
    except KeyboardInterrupt as error:
        entry.status, entry.error = "interrupted", str(error) or "interrupted"
        raise
    except BaseException as error:
        entry.status, entry.error = "failed", f"unexpected {type(error).__name__}"
        raise
    finally:
        entry.duration_seconds = round(time.monotonic() - started, 3)
        if settings is not None:
            metrics.send(settings, entry, stale_highlights)
        listener.entry(entry)
        log.append(entry)
    return entry


def _run(settings: Settings, request: Request, entry: Entry, listener: Listener) -> int | None:
    """Fill in the entry, and return how many bios must be rewritten, or None if nothing was published."""
    stale_highlights = None
    if request.output_dir is not None and not request.dry_run:
        snapshot_files.prepare(request.output_dir)
    listener.progress("opening the warehouse")
    with open_warehouse(settings) as warehouse:
        request = dataclasses.replace(request, scope=people.resolve(settings, warehouse.connection, request.scope))
        entry.user_ids = request.scope.parameters()["user_ids"]
        listener.progress("waiting for the lock")
        warehouse.run_lock.acquire(request.wait_seconds)
        if not request.dry_run:
            check_version(warehouse)
        copies = load(warehouse, listener.warning, listener.progress, reload=request.rebuild)
        listener.progress("looking for changes")
        inputs = unchanged.Inputs(
            settings, source_vars(warehouse), {name: copy.digest for name, copy in copies.items()}
        )
        holds_anything = _scope_holds_anything(warehouse, request.scope)
        before: dict[Unit, str | None] = {}
        counts = None
        results: list[Any] = []
        if not holds_anything:
            listener.remark("nothing to do: the scope holds no membership and no published snapshot")
            counts = unchanged.Counts()
        else:
            with warehouse.connection as connection, connection.cursor() as cursor:
                before = {unit: inputs.digest(cursor, unit) for unit in Unit}
                if not (request.dry_run or request.rebuild):
                    counts = unchanged.recall(cursor, settings, Unit.SNAPSHOTS, request.scope, before[Unit.SNAPSHOTS])
        built = entry.built = counts is None
        if built:
            run_vars = request.scope.dbt_vars()
            if request.accept_losses:
                run_vars["accept_losses"] = True
            what = dbt_client.DRY_RUN if request.dry_run else dbt_client.NIGHTLY
            results = dbt_client.build(settings, what, inputs.sources, run_vars, listener.progress)
        elif holds_anything:
            highlights.publish_if_changed(warehouse, inputs, listener.progress)
        with telling(lambda: built and not request.dry_run):
            if counts is None:
                listener.progress("hashing")
                _hash(warehouse, request, entry, inputs, before, results)
            else:
                _fill_in(entry, counts)
                if holds_anything:
                    with warehouse.connection as connection, connection.cursor() as cursor:
                        record_run(cursor, settings, request.scope, entry.run_id)
            if holds_anything and not request.dry_run:
                stale_highlights = count_stale_highlights(warehouse.connection, settings)
            if request.output_dir is not None and not request.dry_run:
                listener.progress("writing files")
                _write_files(warehouse, request.scope, request.output_dir)
            if built:
                warehouse.vacuum()
    return stale_highlights


def _hash(
    warehouse: Warehouse,
    request: Request,
    entry: Entry,
    inputs: unchanged.Inputs,
    before: dict[Unit, str | None],
    results: list[Any],
) -> None:
    """Hash what was built, and remember its inputs if they have not changed since the digests `before`."""
    settings, connection = warehouse.settings, warehouse.connection
    if not warehouse.run_lock.is_held():
        raise BuildError("the lock was lost while dbt worked, so another run may have written: run again")
    with connection, connection.cursor() as cursor:
        target_users, attempted = hashes.count_memberships(cursor, settings)

    def remember(cursor: Cursor, outcome: hashes.Outcome) -> None:
        # If WhiteBalloon's Postgres changed during the build, it is unknown which rows dbt read.
        if before[Unit.SNAPSHOTS] == inputs.digest(cursor, Unit.SNAPSHOTS):
            counts = unchanged.Counts(target_users, attempted, outcome.generated, outcome.snapshots_digest)
            unchanged.remember(cursor, settings, Unit.SNAPSHOTS, request.scope, before[Unit.SNAPSHOTS], counts)
        highlights.remember(cursor, inputs, before[Unit.HIGHLIGHTS], results)

    try:
        outcome = hashes.store_hashes(connection, settings, request.scope, entry.run_id, request.dry_run, remember)
    except psycopg2.Error as error:
        raise BuildError(f"their hashes could not be stored, run again: {first_line(error)}") from error
    counts = unchanged.Counts(target_users, attempted, outcome.generated, outcome.snapshots_digest)
    _fill_in(entry, counts, outcome.changed, outcome.removed)


def _fill_in(entry: Entry, counts: unchanged.Counts, changed: int = 0, removed: int = 0) -> None:
    """Set the counts of a run's entry; a snapshot that has not changed is unchanged."""
    entry.target_users, entry.attempted, entry.generated = counts.target_users, counts.attempted, counts.generated
    entry.skipped = counts.attempted - counts.generated
    entry.changed, entry.unchanged, entry.removed = changed, counts.generated - changed, removed
    entry.snapshots_digest = counts.snapshots_digest


def _scope_holds_anything(warehouse: Warehouse, scope: Scope) -> bool:
    settings = warehouse.settings
    with warehouse.connection as connection, connection.cursor() as cursor:
        # Hashes too: they outlive rows that were removed through `wrapper dbt`.
        tables = [relations.snapshots(settings), relations.hashes(settings)]
        return holds_anything(cursor, settings, scope, [table for table in tables if relations.exists(cursor, table)])


def _write_files(warehouse: Warehouse, scope: Scope, directory: Path) -> None:
    table = relations.snapshots(warehouse.settings)
    with warehouse.connection as connection, connection.cursor() as cursor:
        if not relations.exists(cursor, table):
            return
        snapshot_files.write_files(directory, read_snapshots(connection, table, scope), scope)
