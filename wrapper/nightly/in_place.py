"""Reading WhiteBalloon's own tables on Postgres in place."""

import contextlib
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from wrapper import interrupts
from wrapper.dbt_project import SourceTable, source_tables
from wrapper.errors import BuildError, ConfigurationError
from wrapper.settings import Settings
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.environment import CONNECT_SECONDS
from wrapper.warehouse.error_text import first_line

# Equal for two URLs that lead to the same database of the same running server.
_IDENTITY = "select pg_postmaster_start_time(), oid from pg_database where datname = current_database()"


def source_vars(warehouse: Warehouse) -> dict[str, str]:
    """Return the dbt vars that say where WhiteBalloon's tables are."""
    settings = warehouse.settings
    if settings.sqlite_path is not None:
        return {}
    found = {"whiteballoon_schema": settings.wb_schema}
    with warehouse.connection as connection, connection.cursor() as cursor:
        if relations.exists(cursor, sql.Identifier(settings.wb_schema, "user_profile_highlights")):
            found["highlights_schema"] = settings.wb_schema
    return found


def check_tables(warehouse: Warehouse, lock_seconds: int | None = None) -> list[SourceTable]:
    """Check that WhiteBalloon's tables can be read, and return the optional ones that do not exist.

    Raises ConfigurationError if one cannot be read, and BuildError if one stays locked for `lock_seconds`, or as long
    as the session waits for locks.
    """
    # In a transaction of its own, so that WhiteBalloon's migrations wait for nothing else.
    with warehouse.connection as connection, connection.cursor() as cursor:
        if lock_seconds is not None:
            cursor.execute("set local lock_timeout = %s", (f"{lock_seconds}s",))
        return [
            table
            for table in source_tables()
            if not table.is_analyses and not _is_in_place(cursor, warehouse.settings, table)
        ]


def compare_databases(settings: Settings, warehouse: Connection) -> str | None:
    """Return a warning if DATABASE_URL leads to another database than WAREHOUSE_URL, whose tables are the ones read."""
    if settings.database is None or settings.database == settings.warehouse:
        return None
    read = "WhiteBalloon's tables are read at WAREHOUSE_URL"
    parameters: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, **settings.database}
    try:
        with contextlib.closing(interrupts.wait_for(lambda: psycopg2.connect(**parameters))) as connection:
            if _identity(connection) == _identity(warehouse):
                return None
    except psycopg2.Error as error:
        return f"DATABASE_URL cannot be reached ({first_line(error)}): {read}, and may not be WhiteBalloon's own"
    return f"DATABASE_URL and WAREHOUSE_URL lead to different databases: {read}, and may be a stale copy"


def _identity(connection: Connection) -> tuple[object, ...] | None:
    with connection, connection.cursor() as cursor:
        cursor.execute(_IDENTITY)
        return cursor.fetchone()


def _is_in_place(cursor: Cursor, settings: Settings, table: SourceTable) -> bool:
    """Return whether WhiteBalloon's schema has the table; only an optional one may be missing."""
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
    except psycopg2.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"WB_SCHEMA: {name} cannot be read: {first_line(error)}; if WhiteBalloon created this table after "
            "deploy/roles.sql was applied, apply deploy/roles.sql again"
        ) from error
    except psycopg2.errors.LockNotAvailable as error:
        raise BuildError(
            f"WB_SCHEMA: {name}, a table of WhiteBalloon's, is locked by another session, such as a migration: "
            "run again when that has ended"
        ) from error
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(f"WB_SCHEMA: {name} cannot be read: {first_line(error)}") from error
    return True
