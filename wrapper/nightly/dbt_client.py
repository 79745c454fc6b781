"""Calling dbt: the arguments it gets, and what its result object says."""

import contextlib
import dataclasses
import functools
import gc
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg2

from wrapper import interrupts
from wrapper.dbt_project import PROJECT_DIR
from wrapper.errors import BuildError
from wrapper.nightly.after_publishing import telling
from wrapper.settings import Settings
from wrapper.warehouse.connection import connect
from wrapper.warehouse.error_text import first_line
from wrapper.wording import counted

PUBLISHED = "model.signal_profiles.signal_profile_snapshots"
CANDIDATE = "model.signal_profiles.int_snapshot_candidates"
_LOSSES = "candidates_keep_what_is_published"
_PASSED = {"success", "pass", "warn", "no-op"}


@dataclasses.dataclass(frozen=True)
class Build:
    """A selector of selectors.yml for `dbt build`, and the node that must be among what it has built."""

    selector: str
    target: str


NIGHTLY = Build("nightly", PUBLISHED)
DRY_RUN = Build("dry_run", CANDIDATE)
HIGHLIGHTS = Build("highlights", "model.signal_profiles.signal_profile_highlight_freshness")
# Nobody reads the artifacts, and a disk without room for them must not fail a run that has published.
_QUIETLY = ("--quiet", "--log-level", "none", "--no-write-json")
BUILD = (*_QUIETLY, "build")


def build(
    settings: Settings,
    what: Build,
    sources: dict[str, str],
    run_vars: dict[str, Any],
    on_progress: Callable[[str], None],
) -> list[Any]:
    """Build and test, publish what the build selects of the scope that the vars name, and return dbt's results.

    `sources` are the vars that locate WhiteBalloon's rows, `run_vars` those of this run alone, such as its scope.
    `on_progress` takes what is being done, and how many of dbt's nodes are done.
    Raises BuildError with one line where a model or a data test failed, and KeyboardInterrupt on Ctrl-C.
    """
    done, total, published = 0, 0, False
    doing = "building"
    on_progress("starting dbt")
    # dbt calls back from each of its threads.
    counting = threading.Lock()

    def on_event(event: Any) -> None:
        nonlocal done, total, published, doing
        # If interrupted while it reads its last parse, dbt takes that for a broken file and parses again.
        if not total and interrupts.came() and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        # A callback that raises would fail its node without a word.
        with contextlib.suppress(Exception), counting:
            if event.info.name == "ConcurrencyLine":
                total = event.data.node_count
            elif event.info.name == "NodeStart":
                doing = _doing(event.data.node_info)
            elif event.info.name == "NodeFinished" and event.data.node_info.materialized != "ephemeral":
                done += 1
                published |= event.data.node_info.unique_id == PUBLISHED and event.data.run_result.status == "success"
            else:
                return
            if total:
                on_progress(f"{doing} ({done} of {total} steps done)")

    with telling(lambda: published):
        outcome = invoke(settings, "snapshot", [*BUILD, "--selector", what.selector], sources, run_vars, [on_event])
        results = list(getattr(outcome.result, "results", None) or ())
        for result in results:
            if result.status not in {*_PASSED, "skipped"}:
                ending = "" if published else "; the published snapshots are as they were"
                raise BuildError(f"{_failure(result)}{ending}")
        if outcome.exception is not None:
            raise BuildError(f"dbt did not complete: {one_line(str(outcome.exception))}") from outcome.exception
        # dbt counts a selection that matches nothing as a success.
        if not any(result.node.unique_id == what.target and result.status in _PASSED for result in results):
            raise BuildError(f"dbt did not complete: {what.target} was not built")
    return results


def invoke(
    settings: Settings,
    name: str,
    arguments: Sequence[str],
    parse_vars: dict[str, Any],
    run_vars: dict[str, Any],
    callbacks: list[Callable[[Any], None]],
) -> Any:
    """Call dbt and return its result object; `name` is that of the folder for its last parse.

    `run_vars` are vars that do not change what is parsed, such as a scope. Raises KeyboardInterrupt on Ctrl-C.
    """
    if name == "snapshot":
        # A flag left in the environment, such as DBT_FULL_REFRESH, is not a part of a nightly run.
        for variable in [variable for variable in os.environ if variable.startswith("DBT_")]:
            del os.environ[variable]
    _set_environment(_target_path(settings, name))
    with contextlib.ExitStack() as stack:
        if name == "snapshot":
            # Interrupted before it has read --quiet, dbt says so where the run-log entry goes.
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(_without_garbage_collection())
        # In the midst of an import an interrupt may be taken for a module that is missing, and forgotten.
        with interrupts.held():
            from dbt.adapters.factory import reset_adapters
            from dbt.cli.main import dbtRunner

            _quote_no_rows()
        stack.callback(reset_adapters)
        # As a keyword the vars stay what they are; as an argument they would have to survive YAML.
        parse_vars = {**settings.vars, **parse_vars}
        outcome = None
        if run_vars:
            # With other vars than last time, dbt would parse the whole project again.
            outcome = dbtRunner(callbacks=callbacks).invoke([*_QUIETLY, "parse"], vars=parse_vars)
        if outcome is None or outcome.success:
            runner = dbtRunner(outcome and outcome.result, callbacks)
            outcome = runner.invoke(list(arguments), vars={**parse_vars, **run_vars})
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise KeyboardInterrupt
    return outcome


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spare a small run a tenth of its time: what dbt makes lives until it ends."""
    gc.disable()
    try:
        yield
    finally:
        # Python would go through all of it again when it exits.
        gc.freeze()
        gc.enable()


def _set_environment(target_path: Path) -> None:
    """Set dbt's paths; its own log, which would have whole statements, is not written."""
    os.environ["DBT_PROJECT_DIR"] = str(PROJECT_DIR)
    os.environ["DBT_PROFILES_DIR"] = str(PROJECT_DIR)
    os.environ["DBT_TARGET_PATH"] = str(target_path)
    os.environ["DBT_LOG_PATH"] = str(target_path)
    os.environ["DBT_LOG_LEVEL_FILE"] = "none"


@functools.cache
def _quote_no_rows() -> None:
    """Cut each database error down before dbt has it for its messages, its log and run_results.json."""
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    handler = PostgresConnectionManager.exception_handler

    @contextlib.contextmanager
    def terse(manager: Any, sql: str) -> Iterator[None]:
        with handler(manager, sql):
            try:
                yield
            except psycopg2.DatabaseError as error:
                raise type(error)(first_line(error)) from None

    # libpq can be told to be terse, but psycopg2 has no way to tell it.
    PostgresConnectionManager.exception_handler = terse


def _target_path(settings: Settings, name: str) -> Path:
    # One per warehouse and schema, since dbt parses the whole project again if a value in the profile changes.
    place = "\n".join(os.environ.get(key, "") for key in ("PGHOST", "PGPORT", "PGDATABASE", "WAREHOUSE_SCHEMA"))
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return settings.storage_dir.absolute() / "dbt" / digest / name


def _doing(node: Any) -> str:
    if node.resource_type == "test":
        return "testing"
    return "publishing" if "marts" in Path(node.node_path).parts else "building"


def _failure(result: Any) -> str:
    if result.status == "fail" and result.node.name == _LOSSES:
        # dbt only counts the rows that fail a test, and these say what would be lost.
        with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
            cursor.execute(result.node.compiled_code)
            losses = ", ".join(loss for (loss,) in cursor)
        return (
            f"this run would lose {losses}: check DATABASE_URL, COMMENT_INSIGHTS_DB and what they name, or run once "
            "with --accept-losses if this is right"
        )
    if result.status == "fail":
        name = result.node.name
        rows = counted(result.failures, "row")
        return f"data test {name} failed on {rows} (wrapper dbt test --select {name} repeats it)"
    return one_line(result.message or f"{result.node.name} failed")


def one_line(message: str) -> str:
    """Return a message of dbt's in one line, without its rules and the trail of macros."""
    lines = [" ".join(line.split()) for line in message.splitlines()]
    # What follows says by which of dbt's macros it came here, and where the statement lies.
    said = itertools.takewhile(lambda line: not line.startswith(("> in macro", "compiled code at")), lines)
    # Neither empty lines nor the rules of a table.
    return " ".join(line for line in said if line.strip("-| "))
