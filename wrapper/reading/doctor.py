"""Everything that a run could fail from, checked before it does.

No row is changed. As every command does, this makes the storage directory and the embedded server if they are missing.
The module is long because it has a short function for each check.
"""

import dataclasses
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psycopg2
from psycopg2 import sql
from rich.console import Console
from rich.text import Text

from wrapper.dbt_project import project_vars, source_tables
from wrapper.errors import ConfigurationError, LockedError, WrapperError
from wrapper.nightly import in_place
from wrapper.nightly.load import ANALYSES_SETTING, DATABASE_SETTING, check_file, has_analyses
from wrapper.nightly.people import read_memberships
from wrapper.nightly.run_log import RunLog
from wrapper.nightly.sqlite_source import open_sqlite
from wrapper.reading.status import read_status
from wrapper.reading.terminal import grid
from wrapper.settings import Settings, read_disagreements, read_origins, read_settings, read_storage_dir
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse, open_warehouse
from wrapper.warehouse.contract import check_version
from wrapper.warehouse.error_text import first_line

Verdict = Literal["ok", "WARN", "FIX"]
# Beside what WhiteBalloon's files need.
_LEAST_FREE_BYTES = 2**30
_MOST_CLOCK_SECONDS = 60
_LOCK_SECONDS = 3
_STYLES: dict[Verdict, str] = {"ok": "green", "WARN": "bold yellow", "FIX": "bold red"}
Check = tuple[str, Callable[[], str]]


class _Warning(str):
    """The text of a check whose finding is a warning."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found; `verdict` is ok, WARN (a run succeeds without something) or FIX (with what to do)."""

    name: str
    verdict: Verdict
    text: str


def examine() -> Iterator[Finding]:
    """Yield a finding for each check, in the order in which a run would come to it."""
    yield from map(
        _look, [("settings", _settings), ("project", _project), ("storage", _storage), ("last run", _last_run)]
    )
    try:
        settings = _absolute(read_settings())
    except WrapperError:
        yield Finding("all else", "FIX", "was not looked at: correct the settings first")
        return
    yield from map(_look, _outside(settings))
    try:
        with open_warehouse(settings) as warehouse:
            yield from map(_look, _inside(warehouse))
    except WrapperError as error:
        yield Finding("warehouse", "FIX", str(error))


def print_findings(console: Console, findings: Iterable[Finding]) -> bool:
    """Print each finding when it comes, and in the end how many there are; return whether nothing must be fixed."""
    counts = dict.fromkeys(_STYLES, 0)
    for finding in findings:
        counts[finding.verdict] += 1
        verdict = Text(f"{finding.verdict:4}", _STYLES[finding.verdict])
        text = Text.assemble((finding.name, "bold"), f": {' '.join(finding.text.split())}")
        # On a terminal, a long text stays beside the verdicts.
        console.print(grid((verdict, text)) if console.is_terminal else Text(" ").join((verdict, text)))
    total = Text(f"{sum(counts.values())} checks: ")
    found = [Text(f"{count} {verdict}", _STYLES[verdict]) for verdict, count in counts.items() if count]
    console.print(total + Text(", ").join(found))
    return not counts["FIX"]


def _look(check: Check) -> Finding:
    name, look = check
    try:
        text = look()
        return Finding(name, "WARN" if isinstance(text, _Warning) else "ok", text)
    except WrapperError as error:
        return Finding(name, "FIX", str(error))
    except OSError as error:
        return Finding(name, "FIX", f"{error.filename}: {error.strerror}")
    except psycopg2.Error as error:
        return Finding(name, "FIX", f"the warehouse refused to answer: {first_line(error)}")


def _absolute(settings: Settings) -> Settings:
    """Return the settings with paths that say where a run from this working directory looks."""
    return dataclasses.replace(
        settings,
        sqlite_path=settings.sqlite_path and settings.sqlite_path.absolute(),
        analyses_path=settings.analyses_path.absolute(),
        storage_dir=settings.storage_dir.absolute(),
    )


def _outside(settings: Settings) -> list[Check]:
    return [
        ("vars", lambda: _vars(settings)),
        ("flag", lambda: _flag(settings)),
        ("WhiteBalloon", lambda: _whiteballoon(settings)),
        ("analyses", lambda: _analyses(settings)),
        ("disk", lambda: _disk(settings)),
        ("metrics", lambda: _metrics(settings)),
    ]


def _inside(warehouse: Warehouse) -> list[Check]:
    return [
        ("warehouse", lambda: _server(warehouse)),
        ("resources", lambda: _resources(warehouse)),
        ("tables in place", lambda: _in_place(warehouse)),
        ("contract", lambda: _contract(warehouse)),
        ("losses", lambda: _losses(warehouse)),
        ("last message", lambda: _last_message(warehouse)),
        ("clock", lambda: _clock(warehouse)),
        ("lock", lambda: _lock(warehouse)),
    ]


def _settings() -> str:
    read_settings()
    if disagreements := read_disagreements():
        return _Warning("; ".join(disagreements))
    origins = read_origins()
    given = [
        f"{name} from {'the environment' if origin == 'environment' else origin}"
        for name, origin in origins.items()
        if origin != "default"
    ]
    return ", ".join(given) + ", the others by default" if given else "all by default"


def _project() -> str:
    project_vars()
    source_tables()
    try:
        return f"signal-profile-snapshots {version('signal-profile-snapshots')}, dbt {version('dbt-core')}"
    except PackageNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: install the project again") from error


def _storage() -> str:
    storage_dir = read_storage_dir().absolute()
    RunLog(storage_dir)
    return f"{storage_dir} can be written to"


def _last_run() -> str:
    status = read_status(read_storage_dir().absolute(), 1, datetime.now(UTC))
    if not status.runs:
        return "there is none yet"
    last, failure = status.runs[-1], status.open_failure
    if failure is not None:
        raise ConfigurationError(f"it failed at {failure.timestamp[:16]}: {failure.error}")
    if status.last_success is None:
        return f"no run of all members has published yet; the last one was {last.status} at {last.timestamp[:16]}"
    if status.overdue:
        raise ConfigurationError(
            "no run of all members has published for 36 hours: check its timer; wrapper status shows the last runs"
        )
    return f"{last.status} at {last.timestamp[:16]}"


def _vars(settings: Settings) -> str:
    if settings.vars_path is None:
        return "SNAPSHOT_VARS is not set, so all have the project's values"
    return f"SNAPSHOT_VARS {settings.vars_path} sets {', '.join(settings.vars) or 'none'}"


def _flag(settings: Settings) -> str:
    if not settings.enabled:
        raise ConfigurationError("PROFILE_SIGNAL_GLAZE is off, so that runs publish nothing: set it to 1")
    return "PROFILE_SIGNAL_GLAZE is on"


def _whiteballoon(settings: Settings) -> str:
    if settings.sqlite_path is None:
        place = "on Postgres" if settings.database == settings.warehouse else "on Postgres, read at WAREHOUSE_URL"
        return f"{place}, in the schema {settings.wb_schema}"
    check_file(DATABASE_SETTING, settings.sqlite_path)
    return f"{settings.sqlite_path} can be read"


def _analyses(settings: Settings) -> str:
    if not has_analyses(settings):
        return _Warning(f"{settings.analyses_path} does not exist, so no snapshot will have tags")
    check_file(ANALYSES_SETTING, settings.analyses_path)
    return f"{settings.analyses_path} can be read"


def _disk(settings: Settings) -> str:
    files = [path for path in (settings.sqlite_path, settings.analyses_path) if path is not None and path.exists()]
    sizes = [path.stat().st_size for path in files]
    # A load copies one file after the other; the embedded warehouse holds what both contain.
    needed = _LEAST_FREE_BYTES + max(sizes, default=0) + (2 * sum(sizes) if settings.warehouse is None else 0)
    free = shutil.disk_usage(_existing(settings.storage_dir)).free
    if free < needed:
        raise ConfigurationError(
            f"{free / 2**30:.1f} GiB free for {settings.storage_dir}, and {needed / 2**30:.1f} may be needed: make room"
        )
    return f"{free / 2**30:.1f} GiB free for {settings.storage_dir}"


def _existing(path: Path) -> Path:
    return next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())


def _metrics(settings: Settings) -> str:
    if settings.statsd_host is None:
        return "STATSD_HOST is not set, so none are sent"
    try:
        socket.getaddrinfo(settings.statsd_host, settings.statsd_port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"STATSD_HOST {settings.statsd_host!r} cannot be resolved: correct or unset it"
        ) from error
    return f"STATSD_HOST {settings.statsd_host} resolves"


def _server(warehouse: Warehouse) -> str:
    # Its version, encoding and the rights to the schemas were looked at while it was opened.
    settings = warehouse.settings
    with warehouse.connection as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            select format('%%I.%%I', nspname, relname)
            from pg_class
            inner join pg_namespace on pg_namespace.oid = relnamespace
            where
                relkind in ('r', 'v')
                and (nspname in (%s, %s) or (nspname = %s and starts_with(relname, %s)))
                and not pg_has_role(relowner, 'usage')
            order by 1
            """,
            (settings.source_schema, settings.intermediate_schema, settings.warehouse_schema, relations.PREFIX),
        )
        if row := cursor.fetchone():
            raise ConfigurationError(
                f"user {connection.info.user!r} does not own {row[0]}, which a run replaces: "
                "make it the owner, as deploy/roles.sql does"
            )
    number = warehouse.connection.info.server_version
    return f"PostgreSQL {number // 10000}.{number % 10000}, UTF8, may be written to"


def _resources(warehouse: Warehouse) -> str:
    settings = warehouse.settings
    threads, work_mem, workers = (settings.var(name) for name in ("threads", "work_mem", "parallel_workers"))
    if workers is None:
        with warehouse.connection as connection, connection.cursor() as cursor:
            cursor.execute("select current_setting('max_parallel_workers_per_gather')::int")
            [workers] = cursor.fetchone() or (0,)
    most = threads * (workers + 1) * int(work_mem.removesuffix("MB"))
    return (
        f"a run builds {threads} models at a time, each with up to {workers} parallel workers, and sorts in {work_mem} "
        f"per process, so in up to {most} MB together; the vars threads, parallel_workers and work_mem change that"
    )


def _in_place(warehouse: Warehouse) -> str:
    if warehouse.settings.sqlite_path is not None:
        return "none are read there"
    in_place.check_tables(warehouse, _LOCK_SECONDS)
    if warning := in_place.compare_databases(warehouse.settings, warehouse.connection):
        return _Warning(warning)
    return f"those in the schema {warehouse.settings.wb_schema} can be read"


def _contract(warehouse: Warehouse) -> str:
    check_version(warehouse)
    return "what is published, if anything is, has this version"


def _losses(warehouse: Warehouse) -> str:
    """Look for empty tables alone: what else a run would lose, `wrapper snapshot --all --dry-run` finds out."""
    settings = warehouse.settings
    table = relations.snapshots(settings)
    published, with_tags = 0, 0
    with warehouse.connection as connection, connection.cursor() as cursor:
        if relations.exists(cursor, table):
            cursor.execute(sql.SQL("select count(*), count(*) filter (where top_tags <> '[]') from {}").format(table))
            published, with_tags = cursor.fetchone() or (0, 0)
    is_checked = published >= settings.var("losses_checked_from")
    if is_checked and (missing := _empty_source(warehouse, bool(with_tags))):
        raise ConfigurationError(
            f"there are {missing}, but {published} snapshots are published: a run would fail; check "
            f"{DATABASE_SETTING}, {ANALYSES_SETTING} and what they name, or run once with --accept-losses "
            "if this is right"
        )
    return "a run would find rows where some were published"


def _empty_source(warehouse: Warehouse, with_analyses: bool) -> str | None:
    """Return what WhiteBalloon has none of."""
    settings = warehouse.settings
    if not read_memberships(settings, warehouse.connection):
        return "no memberships"
    if settings.sqlite_path is None:
        with warehouse.connection as connection, connection.cursor() as cursor:
            comments = relations.source(settings, "request_comments")
            cursor.execute(sql.SQL("select exists (select from {})").format(comments))
            has_comments = cursor.fetchone() == (True,)
    else:
        with open_sqlite(DATABASE_SETTING, settings.sqlite_path) as source:
            has_comments = source.has_rows("request_comments")
    if not has_comments:
        return "no comments"
    if with_analyses:
        if not has_analyses(settings):
            return "no analyses"
        with open_sqlite(ANALYSES_SETTING, settings.analyses_path) as source:
            if not source.has_rows("comment_llm_analyses"):
                return "no analyses"
    return None


def _last_message(warehouse: Warehouse) -> str:
    """Warn as `dbt source freshness` does, which reads the same rows: those in place, or those last loaded."""
    [comments] = [table for table in source_tables() if table.warn_after is not None]
    relation = relations.source(warehouse.settings, comments.name)
    query = sql.SQL(
        """
        select max(created_at)::timestamp, timezone('utc', now()) - max(created_at)::timestamp
        from {} where deleted_at is null
        """
    ).format(relation)
    try:
        with warehouse.connection as connection, connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = %s", (f"{_LOCK_SECONDS}s",))
            if not relations.exists(cursor, relation):
                return "none was loaded yet"
            cursor.execute(query)
            sent_at, age = cursor.fetchone() or (None, None)
    except psycopg2.Error as error:
        return _Warning(f"cannot be looked up: {first_line(error)}")
    if sent_at is None:
        return "there is none"
    text = f"sent at {sent_at:%Y-%m-%dT%H:%M}"
    if age > comments.warn_after:
        return _Warning(f"{text}, {age.days} days ago: have chats been imported into WhiteBalloon since?")
    return text


def _clock(warehouse: Warehouse) -> str:
    with warehouse.connection as connection, connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        row = cursor.fetchone()
    apart = abs((datetime.now(UTC) - row[0]).total_seconds()) if row else 0.0
    if apart > _MOST_CLOCK_SECONDS:
        raise ConfigurationError(f"the warehouse's is {apart:.0f} seconds apart from this machine's: set them by NTP")
    return "this machine and the warehouse agree"


def _lock(warehouse: Warehouse) -> str:
    try:
        warehouse.run_lock.acquire(0)
    except LockedError:
        return "a run is on its way"
    return "free"
