"""Copying WhiteBalloon's SQLite tables into the warehouse, all in one transaction."""

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.dbt_project import SourceTable, source_tables
from wrapper.errors import BuildError, ConfigurationError
from wrapper.nightly import in_place, loaded
from wrapper.nightly.copy_lines import CopyLines
from wrapper.nightly.loaded import Copy
from wrapper.nightly.sqlite_source import SqliteCopy, SqliteSource, copy_sqlite, open_sqlite
from wrapper.settings import Settings
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.error_text import first_line

DATABASE_SETTING, ANALYSES_SETTING = "DATABASE_URL", "COMMENT_INSIGHTS_DB"


def load(
    warehouse: Warehouse, report: Callable[[str], None], on_progress: Callable[[str], None], *, reload: bool
) -> dict[str, Copy]:
    """Copy WhiteBalloon's SQLite tables into the source schema, or only its analyses if it is on Postgres.

    Returns the copies, by the table's name. A table whose copy is still equal is not copied again, unless `reload`.
    `report` takes a warning for each absent optional table, and for each table with replaced characters; `on_progress`
    takes what is being done.
    Raises ConfigurationError if a file, a table or a value is not usable, and BuildError if the warehouse fails; the
    source schema is then as it was.
    """
    settings = warehouse.settings
    tables = source_tables()
    analyses = [table for table in tables if table.is_analyses]
    missing: list[SourceTable] = []
    with _failing():
        if settings.sqlite_path is None:
            missing = in_place.check_tables(warehouse)
            if warning := in_place.compare_databases(settings, warehouse.connection):
                report(f"warning: {warning}")
            for table in missing:
                report(
                    f"warning: WB_SCHEMA: there is no table {settings.wb_schema}.{table.name}, which is taken as empty"
                )
        with warehouse.connection as connection, connection.cursor() as cursor:
            _create_schema(cursor, settings.source_schema)
            loading = _Loading(cursor, settings, report, on_progress, reload)
            if settings.sqlite_path is not None:
                own = [table for table in tables if not table.is_analyses]
                loading.copy_file(DATABASE_SETTING, settings.sqlite_path, own)
            if has_analyses(settings):
                loading.copy_file(ANALYSES_SETTING, settings.analyses_path, analyses)
            else:
                report(f"warning: {ANALYSES_SETTING}: {settings.analyses_path} does not exist, so no snapshot has tags")
                missing = [*missing, *analyses]
            for table in missing:
                loading.copies[table.name] = _replace(cursor, settings, table, iter(()))
    return loading.copies


def load_highlights(warehouse: Warehouse) -> dict[str, str]:
    """Copy WhiteBalloon's highlights alone, as load() does, and return the digest of their table.

    WhiteBalloon waits only while they are read into memory; they are few.
    Raises ConfigurationError if they cannot be read or written, and BuildError if the warehouse fails.
    """
    settings = warehouse.settings
    [table] = [table for table in source_tables() if table.is_highlights]
    chunks: list[bytes] = []
    if settings.sqlite_path is None:
        if table not in in_place.check_tables(warehouse):
            return {}
    else:
        with open_sqlite(DATABASE_SETTING, settings.sqlite_path) as source:
            if source.has_table(table):
                source.connection.text_factory = bytes
                chunks = list(CopyLines(source, table).chunks())
    with (
        _failing(),
        _naming_duplicates(DATABASE_SETTING, settings.sqlite_path, table),
        warehouse.connection as connection,
        connection.cursor() as cursor,
    ):
        return {table.name: _replace(cursor, settings, table, iter(chunks)).digest}


def has_analyses(settings: Settings) -> bool:
    """Return whether the file of analyses exists.

    Raises ConfigurationError if the directory cannot be searched, since members would lose their tags, and if
    COMMENT_INSIGHTS_DB is set but the file is missing.
    """
    try:
        settings.analyses_path.lstat()
    except FileNotFoundError as error:
        if settings.analyses_required:
            raise ConfigurationError(
                f"{ANALYSES_SETTING}: {settings.analyses_path} does not exist: correct the setting, or unset it if "
                "this WhiteBalloon has no analyses"
            ) from error
        return False
    except OSError as error:
        raise ConfigurationError(
            f"{ANALYSES_SETTING}: {settings.analyses_path} cannot be read: {error.strerror}"
        ) from error
    return True


def check_file(setting: str, path: Path) -> None:
    """Check that a SQLite file of WhiteBalloon can be read and has the required tables.

    Raises ConfigurationError if not.
    """
    with open_sqlite(setting, path) as source:
        for table in source_tables():
            is_here = table.is_analyses == (setting == ANALYSES_SETTING)
            if is_here and not source.has_table(table) and not table.optional:
                raise _without_table(source, table)


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """Turn a failure of the warehouse into BuildError, and a statement that it refuses into ConfigurationError."""
    try:
        yield
    # A worker of a Citus cluster that crashes may be reported as an internal error.
    except (psycopg2.OperationalError, psycopg2.InternalError) as error:
        raise BuildError(f"the warehouse failed during the load: {first_line(error)}") from error
    except psycopg2.Error as error:
        raise ConfigurationError(f"the warehouse refused the load: {first_line(error)}") from error


@contextlib.contextmanager
def _naming_duplicates(setting: str, path: Path | None, table: SourceTable) -> Iterator[None]:
    """Turn a refused primary key into ConfigurationError."""
    try:
        yield
    except psycopg2.errors.UniqueViolation as error:
        raise ConfigurationError(f"{setting}: {path}: table {table.name} has two rows with one {table.key}") from error


def _without_table(source: SqliteSource, table: SourceTable) -> ConfigurationError:
    return ConfigurationError(
        f"{source.setting}: {source.path} has no table {table.name}: is it a WhiteBalloon database?"
    )


def _create_schema(cursor: Cursor, schema: str) -> None:
    # Not `if not exists`, which asks for the right to create one even where it exists.
    cursor.execute("select from pg_namespace where nspname = %s", (schema,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))


@dataclasses.dataclass
class _Loading:
    """The load of one run, in its transaction."""

    cursor: Cursor
    settings: Settings
    report: Callable[[str], None]
    on_progress: Callable[[str], None]
    reload: bool
    copies: dict[str, Copy] = dataclasses.field(default_factory=dict)

    def copy_file(self, setting: str, path: Path, tables: list[SourceTable]) -> None:
        self.on_progress(f"copying {path.name}")
        with copy_sqlite(setting, path, self.settings.storage_dir) as source:
            for number, table in enumerate(tables, start=1):
                doing = f"loading {table.name} ({number} of {len(tables)} tables)"
                self.on_progress(doing)
                self.copies[table.name] = copy = self._copy_table(source, table, doing)
                if copy.replaced:
                    self.report(
                        f"warning: {setting}: {path}: table {table.name}: {copy.replaced} values held NUL or "
                        "invalid UTF-8, replaced by U+FFFD"
                    )

    def _copy_table(self, source: SqliteCopy, table: SourceTable, doing: str) -> Copy:
        if not source.has_table(table):
            if not table.optional:
                raise _without_table(source, table)
            self.report(f"warning: {source.setting}: {source.path} has no table {table.name}, which is taken as empty")
            return _replace(self.cursor, self.settings, table, iter(()))
        pages = source.digest_pages(table)
        copy = None if self.reload else loaded.recall(self.cursor, self.settings, table, pages)
        if copy is None:
            lines = CopyLines(source, table)
            with _naming_duplicates(source.setting, source.path, table):
                copy = _replace(self.cursor, self.settings, table, self._counting(lines.chunks(), doing))
            copy = dataclasses.replace(copy, replaced=lines.replaced)
            loaded.remember(self.cursor, self.settings, table, pages, copy)
        return copy

    def _counting(self, chunks: Iterator[bytes], doing: str) -> Iterator[bytes]:
        rows = 0
        for chunk in chunks:
            rows += chunk.count(b"\n")
            self.on_progress(f"{doing}: {rows:,} rows")
            yield chunk


def _replace(cursor: Cursor, settings: Settings, table: SourceTable, chunks: Iterator[bytes]) -> Copy:
    """Fill a fresh table from lines in COPY's text format, and replace the old table."""
    final = sql.Identifier(settings.source_schema, table.name)
    fresh = sql.Identifier(settings.source_schema, f"{table.name}__fresh")
    columns = sql.SQL(", ").join(
        sql.SQL("{} " + column.data_type + ("" if column.nullable else " not null")).format(sql.Identifier(column.name))
        for column in table.columns
    )
    order = sql.SQL(", ").join(sql.Identifier(column.name) for column in [*table.stored, *table.parsed])
    cursor.execute(sql.SQL("create table {} ({})").format(fresh, columns))
    if table.distributed_by and settings.sqlite_path is not None and settings.var("distributed"):
        # Comments read in place are on the coordinator, so the analyses must be there too.
        cursor.execute("select create_distributed_table(%s, %s)", (fresh.as_string(cursor), table.distributed_by))
    with _Stream(chunks) as stream:
        try:
            cursor.copy_expert(sql.SQL("copy {} ({}) from stdin with (freeze)").format(fresh, order), stream)
        except psycopg2.Error:
            if stream.error is not None:
                raise stream.error from None
            raise
    rows = cursor.rowcount
    cursor.execute(sql.SQL("alter table {} add primary key ({})").format(fresh, sql.Identifier(table.key)))
    cursor.execute(sql.SQL("drop table if exists {}").format(final))
    cursor.execute(sql.SQL("alter table {} rename to {}").format(fresh, sql.Identifier(table.name)))
    cursor.execute(sql.SQL("analyze {}").format(final))
    return Copy(stream.digest.hexdigest(), rows)


class _Stream(io.RawIOBase):
    """Chunks of lines as a file for COPY; while Postgres reads one, a thread of its own makes the next."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._maker = ThreadPoolExecutor(1)
        self._next = self._maker.submit(next, chunks, b"")
        self.digest = hashlib.blake2b(digest_size=32)
        # psycopg2 replaces exceptions that read() raises with its own.
        self.error: BaseException | None = None

    def read(self, _size: int = -1, /) -> bytes:
        try:
            chunk = self._next.result()
        except BaseException as error:
            self.error = error
            raise
        self._next = self._maker.submit(next, self._chunks, b"")
        self.digest.update(chunk)
        return chunk

    def close(self) -> None:
        self._maker.shutdown()
        super().close()
