"""Connecting to the warehouse, and starting and stopping the embedded server if that is the warehouse."""

import contextlib
import os
from collections.abc import Iterator

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from wrapper import interrupts
from wrapper.errors import BuildError, ConfigurationError
from wrapper.settings import Settings
from wrapper.warehouse.embedded import EmbeddedServer
from wrapper.warehouse.environment import libpq_variable, set_variables
from wrapper.warehouse.error_text import first_line
from wrapper.warehouse.lock import RunLock
from wrapper.warehouse.rights import check_rights

_APPLICATION = "signal-profile-snapshots"
_OLDEST_VERSION = 150000
NOTHING_PUBLISHED = "nothing is published yet: run wrapper snapshot --all first"


class Warehouse:
    """An open warehouse; the session of `connection` lives as long as the run, and holds `run_lock` for it."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.settings = settings
        self.connection = connection
        self.run_lock = RunLock(connection, settings.warehouse_schema)

    def vacuum(self) -> None:
        """Vacuum the tables that have dead rows, if the warehouse is the embedded Postgres.

        It seldom runs for the minute after which autovacuum begins.
        """
        if self.settings.warehouse is not None:
            return
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            # So that the rows of this session count.
            cursor.execute("select pg_stat_force_next_flush()")
            cursor.execute(
                """
                select string_agg(relid::regclass::text, ', ') from pg_stat_all_tables
                where n_dead_tup > 0 and schemaname <> 'pg_toast'
                """
            )
            [tables] = cursor.fetchone() or [None]
            if tables is not None:
                cursor.execute(f"vacuum (skip_locked) {tables}")
        self.connection.autocommit = False


def connect() -> Connection:
    """Return a new connection to the warehouse that open_warehouse() put into libpq's variables.

    Raises ConfigurationError with the first line of what libpq says.
    """
    try:
        idle = os.environ.get(libpq_variable("keepalives_idle"))
        connection = interrupts.wait_for(
            lambda: psycopg2.connect("", application_name=_APPLICATION, keepalives_idle=idle)
        )
    except (psycopg2.OperationalError, UnicodeError) as error:
        raise ConfigurationError(f"the warehouse cannot be reached, see WAREHOUSE_URL: {first_line(error)}") from error
    interrupts.end_statements_of(connection)
    return connection


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the embedded Postgres below STORAGE_DIR, which may not have been set up yet."""
    return EmbeddedServer(settings.storage_dir / "postgres")


@contextlib.contextmanager
def open_warehouse(settings: Settings, to_write: bool = True) -> Iterator[Warehouse]:
    """Open the warehouse that the settings name, starting the embedded Postgres if necessary.

    Sets libpq's variables for this process and its children. A server that was started on demand is stopped at the end
    unless another session is connected to it. The right to write is checked only if `to_write`.
    Raises ConfigurationError if the warehouse cannot be reached or used, or if a right is missing, and BuildError if it
    fails later.
    """
    os.environ["WAREHOUSE_SCHEMA"] = settings.warehouse_schema
    try:
        with _connection(settings) as connection:
            _check(connection)
            if to_write:
                check_rights(settings, connection)
            yield Warehouse(settings, connection)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the user of the warehouse has no right to this: {first_line(error)} (deploy/roles.sql, or the dbt vars "
            "analyst_roles and bio_roles, grant what readers need)"
        ) from error
    except psycopg2.Error as error:
        raise BuildError(f"the warehouse failed: {first_line(error)}") from error


@contextlib.contextmanager
def open_published(settings: Settings) -> Iterator[Warehouse]:
    """Open the warehouse for a command that only reads what is published.

    Raises what open_warehouse() raises, and ConfigurationError if the embedded Postgres has not been set up yet.
    """
    if settings.warehouse is None:
        try:
            embedded_server(settings).data_dir.stat()
        except FileNotFoundError as error:
            raise ConfigurationError(NOTHING_PUBLISHED) from error
        except OSError:
            # open_warehouse() reports the reason.
            pass
    with open_warehouse(settings, to_write=False) as warehouse:
        yield warehouse


@contextlib.contextmanager
def _connection(settings: Settings) -> Iterator[Connection]:
    if settings.warehouse is not None:
        set_variables(settings.warehouse)
        with contextlib.closing(connect()) as external:
            yield external
        return
    server = embedded_server(settings)
    connection: Connection | None = None
    try:
        with server.guard():
            server.start(on_demand=True)
            set_variables(server.parameters())
            connection = connect()
        yield connection
    finally:
        # Without a connection, other sessions cannot be counted; the next command stops the server.
        if connection is not None:
            with server.guard():
                own_session = connection.info.backend_pid
                connection.close()
                if server.is_on_demand() and not _anybody_on(server, but=own_session):
                    server.stop()


def _check(connection: Connection) -> None:
    # dbt's profile needs both, and libpq knows them once it is connected.
    os.environ["PGUSER"] = connection.info.user
    os.environ["PGDATABASE"] = connection.info.dbname
    if connection.server_version < _OLDEST_VERSION:
        raise ConfigurationError("the warehouse is older than PostgreSQL 15, the oldest this project runs on")
    connection.set_client_encoding("UTF8")
    with connection, connection.cursor() as cursor:
        cursor.execute("show server_encoding")
        row = cursor.fetchone()
        encoding = row[0] if row else None
        if encoding != "UTF8":
            raise ConfigurationError(
                f"the warehouse's database {connection.info.dbname!r} is {encoding}: use one whose encoding is UTF8"
            )


def runs_on(server: EmbeddedServer) -> bool:
    """Return whether a command of the wrapper is connected to the running server."""
    with (
        contextlib.suppress(psycopg2.OperationalError),
        contextlib.closing(psycopg2.connect(server.url())) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select count(*) from pg_stat_activity where application_name = %s", (_APPLICATION,))
        row = cursor.fetchone()
        return bool(row and row[0])
    return False


def _anybody_on(server: EmbeddedServer, but: int) -> bool:
    # A new connection, since the run's own may have been terminated.
    with (
        contextlib.suppress(psycopg2.Error, ConfigurationError),
        contextlib.closing(psycopg2.connect(server.url())) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            """
            select count(*) from pg_stat_activity
            where backend_type = 'client backend' and pid not in (pg_backend_pid(), %s)
            """,
            (but,),
        )
        row = cursor.fetchone()
        return bool(row and row[0])
    return False
