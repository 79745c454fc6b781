"""One run of `wrapper snapshot`: load, build, hash, files, run log, metrics."""

import dataclasses
import importlib.metadata
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from wrapper import dbt_client, interrupts, output_files, published, statsd
from wrapper.consumers import count_stale_highlights
from wrapper.contract import check_version
from wrapper.errors import BuildError, WrapperError
from wrapper.load import load, source_vars
from wrapper.run_log import Entry, RunLog
from wrapper.scope import Scope, holds_anything
from wrapper.settings import Settings, read_settings, read_storage_dir
from wrapper.warehouse import Warehouse, exists, first_line, open_warehouse


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    scope: Scope
    dry_run: bool
    accept_losses: bool
    output_dir: Path | None
    wait_seconds: float


@dataclasses.dataclass(frozen=True)
class Listener:
    """Where a run reports to: lines for people, dbt's progress, and in the end the run-log entry."""

    line: Callable[[str], None]
    progress: Callable[[dbt_client.Progress], None]
    entry: Callable[[Entry], None]


def run_snapshot(request: Request, listener: Listener) -> Entry:
    """Run once and return the run-log entry, which is appended and sent as metrics however the run ends.

    Raises WrapperError, or KeyboardInterrupt, after both.
    """
    log = RunLog(read_storage_dir())
    started = time.monotonic()
    settings = None
    stale_highlights = None
    entry = Entry(
        timestamp=datetime.now(UTC).isoformat(),
        run_id=uuid.uuid4().hex,
        dry_run=request.dry_run,
        group_slugs=None if request.scope.group_slugs is None else list(request.scope.group_slugs),
        output_dir=None if request.output_dir is None else str(request.output_dir),
        version=importlib.metadata.version("signal-profile-snapshots"),
    )
    try:
        # Once a run has ended, or failed, no interrupt can keep it from being logged as just that.
        with interrupts.let_in():
            settings = read_settings()
            if not settings.enabled and not request.dry_run:
                entry.status = "disabled"
                listener.line("PROFILE_SIGNAL_GLAZE is off, so nothing was done: set it to 1 to let runs publish")
            else:
                stale_highlights = _run(settings, request, entry, listener)
    except WrapperError as error:
        entry.status, entry.error = error.status, str(error)
        raise
    except KeyboardInterrupt:
        entry.status, entry.error = "interrupted", "interrupted"
        raise
    except BaseException as error:
        entry.status, entry.error = "failed", f"unexpected {type(error).__name__}"
        raise
    finally:
        entry.duration_seconds = round(time.monotonic() - started, 3)
        if settings is not None:
            statsd.send(settings, entry, stale_highlights)
        listener.entry(entry)
        log.append(entry)
    return entry


def _run(settings: Settings, request: Request, entry: Entry, listener: Listener) -> int | None:
    """Fill in the entry, and return how many bios are to be rewritten, None where nothing was published."""
    stale_highlights = None
    if request.output_dir is not None and not request.dry_run:
        output_files.prepare(request.output_dir)
    with open_warehouse(settings) as warehouse:
        warehouse.lock(request.wait_seconds)
        if not request.dry_run:
            check_version(warehouse)
        load(warehouse, listener.line)
        if _scope_holds_anything(warehouse, request.scope):
            _build_and_hash(warehouse, request, entry, listener)
            if not request.dry_run:
                stale_highlights = count_stale_highlights(warehouse.connection, settings)
        else:
            listener.line("nothing to do: the scope holds no membership and no published snapshot")
            entry.target_users = entry.attempted = entry.generated = entry.skipped = 0
            entry.changed = entry.unchanged = entry.removed = 0
            entry.snapshots_digest = published.EMPTY_DIGEST
        if request.output_dir is not None and not request.dry_run:
            _write_files(warehouse, request.scope, request.output_dir)
    return stale_highlights


def _build_and_hash(warehouse: Warehouse, request: Request, entry: Entry, listener: Listener) -> None:
    settings, connection = warehouse.settings, warehouse.connection
    dbt_vars = {**source_vars(warehouse), **request.scope.dbt_vars()}
    if request.accept_losses:
        dbt_vars["accept_losses"] = True
    dbt_client.build(settings, dbt_vars, request.dry_run, listener.progress)
    so_far = "" if request.dry_run else "the snapshots are published, but "
    if not warehouse.holds_lock():
        raise BuildError(f"{so_far}the lock was lost while dbt worked, so another run may have written: run again")
    with connection, connection.cursor() as cursor:
        entry.target_users, entry.attempted = published.count_memberships(cursor, settings)
    try:
        outcome = published.store_hashes(connection, settings, request.scope, entry.run_id, request.dry_run)
    except psycopg2.Error as error:
        raise BuildError(f"{so_far}their hashes could not be stored, run again: {first_line(error)}") from error
    entry.generated, entry.skipped = outcome.generated, entry.attempted - outcome.generated
    entry.changed, entry.unchanged, entry.removed = outcome.changed, outcome.unchanged, outcome.removed
    entry.snapshots_digest = outcome.snapshots_digest


def _scope_holds_anything(warehouse: Warehouse, scope: Scope) -> bool:
    settings = warehouse.settings
    with warehouse.connection as connection, connection.cursor() as cursor:
        # Hashes too: rows that `wrapper dbt` took away have left theirs behind.
        tables = [published.snapshots_table(settings), published.hashes_table(settings)]
        return holds_anything(cursor, settings, scope, [table for table in tables if exists(cursor, table)])


def _write_files(warehouse: Warehouse, scope: Scope, directory: Path) -> None:
    table = published.snapshots_table(warehouse.settings)
    with warehouse.connection as connection, connection.cursor() as cursor:
        if not exists(cursor, table):
            return
        output_files.write_files(directory, published.read_snapshots(connection, table, scope))
        output_files.remove_stale_files(cursor, directory, table, scope)
