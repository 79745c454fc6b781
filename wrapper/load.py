"""Copying WhiteBalloon's SQLite tables into the warehouse: all of them in one transaction, or none."""

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.errors import ConfigurationError
from wrapper.project import SourceTable, source_tables
from wrapper.settings import Settings
from wrapper.sqlite_source import SqliteSource, open_sqlite
from wrapper.warehouse import Warehouse, exists, first_line

DATABASE_SETTING, ANALYSES_SETTING = "DATABASE_URL", "COMMENT_INSIGHTS_DB"
_ANALYSES_SOURCE = "whiteballoon_analyses"
_ROWS_PER_CHUNK = 500


def load(warehouse: Warehouse, report: Callable[[str], None]) -> None:
    """Copy WhiteBalloon's SQLite tables into the source schema; where it is on Postgres, only its analyses.

    `report` takes a warning for each absent optional table, and for each table with replaced characters.
    Raises ConfigurationError, with the source schema as it was, where a file, a table or a value is not usable.
    """
    settings = warehouse.settings
    tables = source_tables()
    own = [table for table in tables if table.source != _ANALYSES_SOURCE]
    analyses = [table for table in tables if table.source == _ANALYSES_SOURCE]
    try:
        if settings.sqlite_path is None:
            # A transaction of its own: WhiteBalloon's migrations need not wait until its analyses are loaded.
            with warehouse.connection as connection, connection.cursor() as cursor:
                _create_schema(cursor, settings.source_schema)
                _check_in_place(cursor, settings, own, report)
        with warehouse.connection as connection, connection.cursor() as cursor:
            _create_schema(cursor, settings.source_schema)
            if settings.sqlite_path is not None:
                with open_sqlite(DATABASE_SETTING, settings.sqlite_path) as source:
                    _copy_tables(cursor, settings, source, own, report)
            if has_analyses(settings):
                with open_sqlite(ANALYSES_SETTING, settings.analyses_path) as source:
                    _copy_tables(cursor, settings, source, analyses, report)
            else:
                report(f"warning: {ANALYSES_SETTING}: there is no file {settings.analyses_path}, so there are no tags")
                for table in analyses:
                    _replace(cursor, settings, table, iter(()))
    except psycopg2.Error as error:
        raise ConfigurationError(f"the warehouse refused the load: {first_line(error)}") from error


def source_vars(warehouse: Warehouse) -> dict[str, str]:
    """Return the dbt vars that say where WhiteBalloon's tables are."""
    settings = warehouse.settings
    if settings.sqlite_path is not None:
        return {}
    found = {"whiteballoon_schema": settings.wb_schema}
    with warehouse.connection as connection, connection.cursor() as cursor:
        if exists(cursor, sql.Identifier(settings.wb_schema, "user_profile_highlights")):
            found["highlights_schema"] = settings.wb_schema
    return found


def check_in_place(warehouse: Warehouse) -> None:
    """See that WhiteBalloon's tables on Postgres can be read, and change nothing.

    Raises ConfigurationError where one cannot be.
    """
    with warehouse.connection as connection, connection.cursor() as cursor:
        for table in source_tables():
            if table.source != _ANALYSES_SOURCE:
                _is_in_place(cursor, warehouse.settings, table)


def has_analyses(settings: Settings) -> bool:
    """Tell whether there is a file of analyses, or a link to one.

    Raises ConfigurationError where that cannot be seen: a directory that is closed must not cost every member the tags;
    and where the file is missing though COMMENT_INSIGHTS_DB is set.
    """
    try:
        settings.analyses_path.lstat()
    except FileNotFoundError as error:
        if settings.analyses_required:
            raise ConfigurationError(
                f"{ANALYSES_SETTING}: there is no file {settings.analyses_path}: correct the setting, or unset it if "
                "this WhiteBalloon has no analyses"
            ) from error
        return False
    except OSError as error:
        raise ConfigurationError(
            f"{ANALYSES_SETTING}: {settings.analyses_path} cannot be read: {error.strerror}"
        ) from error
    return True


def check_file(setting: str, path: Path) -> None:
    """See that a SQLite file of WhiteBalloon's can be read and has the tables it has to have.

    Raises ConfigurationError where it cannot, or has not.
    """
    with open_sqlite(setting, path) as source:
        for table in source_tables():
            is_here = (table.source == _ANALYSES_SOURCE) == (setting == ANALYSES_SETTING)
            if is_here and not source.has_table(table) and not table.optional:
                raise _without_table(source, table)


def _without_table(source: SqliteSource, table: SourceTable) -> ConfigurationError:
    return ConfigurationError(
        f"{source.setting}: {source.path} has no table {table.name}: is it a WhiteBalloon database?"
    )


def _create_schema(cursor: Cursor, schema: str) -> None:
    # Not `if not exists`, which asks for the right to create one even where it exists.
    cursor.execute("select from pg_namespace where nspname = %s", (schema,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))


def _check_in_place(
    cursor: Cursor, settings: Settings, tables: list[SourceTable], report: Callable[[str], None]
) -> None:
    for table in tables:
        if not _is_in_place(cursor, settings, table):
            report(f"warning: WB_SCHEMA: there is no table {settings.wb_schema}.{table.name}, which is taken as empty")
            _replace(cursor, settings, table, iter(()))


def _is_in_place(cursor: Cursor, settings: Settings, table: SourceTable) -> bool:
    """Tell whether WhiteBalloon's schema has the table, which only an optional one may be missing from."""
    name = f"{settings.wb_schema}.{table.name}"
    cursor.execute("savepoint source")
    try:
        cursor.execute(
            sql.SQL("select {} from {} limit 0").format(
                sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
                sql.Identifier(settings.wb_schema, table.name),
            )
        )
    except psycopg2.errors.UndefinedTable as error:
        cursor.execute("rollback to savepoint source")
        if not table.optional:
            raise ConfigurationError(
                f"WB_SCHEMA: the warehouse has no table {name}: is WhiteBalloon in this database and schema?"
            ) from error
        return False
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(f"WB_SCHEMA: {name} cannot be read: {first_line(error)}") from error
    return True


def _copy_tables(
    cursor: Cursor,
    settings: Settings,
    source: SqliteSource,
    tables: list[SourceTable],
    report: Callable[[str], None],
) -> None:
    for table in tables:
        lines: Iterator[str] = iter(())
        replaced_before = source.replaced
        if source.has_table(table):
            lines = source.copy_lines(table)
        elif table.optional:
            report(f"warning: {source.setting}: {source.path} has no table {table.name}, which is taken as empty")
        else:
            raise _without_table(source, table)
        try:
            _replace(cursor, settings, table, lines)
        except psycopg2.errors.UniqueViolation as error:
            raise ConfigurationError(
                f"{source.setting}: {source.path}: table {table.name} has two rows with one {table.key}"
            ) from error
        if replaced := source.replaced - replaced_before:
            report(
                f"warning: {source.setting}: {source.path}: table {table.name}: {replaced} values held NUL or invalid "
                "UTF-8, replaced by U+FFFD"
            )


def _replace(cursor: Cursor, settings: Settings, table: SourceTable, lines: Iterator[str]) -> None:
    """Fill a fresh table with lines of COPY's text form and put it in the old one's place."""
    final = sql.Identifier(settings.source_schema, table.name)
    fresh = sql.Identifier(settings.source_schema, f"{table.name}__fresh")
    columns = sql.SQL(", ").join(
        sql.SQL("{} " + column.data_type + ("" if column.nullable else " not null")).format(sql.Identifier(column.name))
        for column in table.columns
    )
    cursor.execute(sql.SQL("create table {} ({})").format(fresh, columns))
    stream = _Stream(lines)
    try:
        cursor.copy_expert(sql.SQL("copy {} from stdin").format(fresh), stream)
    except psycopg2.Error:
        if stream.error is not None:
            raise stream.error from None
        raise
    cursor.execute(sql.SQL("alter table {} add primary key ({})").format(fresh, sql.Identifier(table.key)))
    cursor.execute(sql.SQL("drop table if exists {}").format(final))
    cursor.execute(sql.SQL("alter table {} rename to {}").format(fresh, sql.Identifier(table.name)))
    cursor.execute(sql.SQL("analyze {}").format(final))


class _Stream(io.RawIOBase):
    """Lines as the file that COPY reads, some rows at a time."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__()
        self._lines = lines
        # psycopg2 turns whatever read() raises into an error of its own.
        self.error: BaseException | None = None

    def read(self, _size: int = -1, /) -> bytes:
        try:
            return "".join(itertools.islice(self._lines, _ROWS_PER_CHUNK)).encode()
        except BaseException as error:
            self.error = error
            raise
