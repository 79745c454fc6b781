"""The connection to the warehouse: libpq's variables, the checks before a run, and the lock of a run."""

import contextlib
import os
import time
from collections.abc import Iterator

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from wrapper import interrupts
from wrapper.errors import BuildError, ConfigurationError, LockedError, NoRightError
from wrapper.settings import Settings
from wrapper.warehouse.embedded import EmbeddedServer

# client_connection_check_interval ends a killed run's statements; the lock's connection idles while dbt works.
# Somebody's open transaction on one of our tables must not hold a run for ever.
_SESSION_OPTIONS = "-c client_connection_check_interval=1000 -c idle_session_timeout=0 -c lock_timeout=60000"
# After those of a URL, which may well have another lock_timeout, but may not move timestamps.
_FIXED_OPTIONS = "-c timezone=UTC"
_APPLICATION = "signal-profile-snapshots"
# What never answers is no warehouse, and a night is not to wait for it.
CONNECT_SECONDS = "10"
_OLDEST_VERSION = 150000
# libpq's variables are PG and the parameter without underscores, except for these. It has none for keepalives_idle.
_VARIABLES = {"dbname": "PGDATABASE", "application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT"}
_LOCK_POLL_SECONDS = 0.5
NOTHING_PUBLISHED = "nothing is published yet: run wrapper snapshot --all first"


class Warehouse:
    """An open warehouse; `connection` lives as long as the run and holds its lock."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.settings = settings
        self.connection = connection

    def lock(self, wait_seconds: float) -> None:
        """Take the lock of this database and schema, waiting up to `wait_seconds` for another run to end.

        Raises LockedError when the time runs out.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._scalar("select pg_try_advisory_lock(hashtextextended(%s, 0))", self._lock_name):
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"another run holds the lock of schema {self.settings.warehouse_schema}: "
                    "try again later, or wait for it with --wait SECONDS"
                )
            time.sleep(min(_LOCK_POLL_SECONDS, max(deadline - time.monotonic(), 0)))

    def unlock(self) -> None:
        """Let go of the lock."""
        self._scalar("select pg_advisory_unlock(hashtextextended(%s, 0))", self._lock_name)

    def holds_lock(self) -> bool:
        """Tell whether the lock is still held; it is lost when its session is ended from outside."""
        with contextlib.suppress(psycopg2.Error):
            return self._scalar(
                """
                select exists (
                    select from pg_locks
                    where locktype = 'advisory' and pid = pg_backend_pid() and granted
                        and (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
                )
                """,
                self._lock_name,
            )
        return False

    @property
    def _lock_name(self) -> str:
        return f"{_APPLICATION}:{self.settings.warehouse_schema}"

    def _scalar(self, sql: str, *arguments: object) -> bool:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            row = cursor.fetchone()
        return bool(row and row[0])


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


def exists(cursor: Cursor, table: sql.Identifier) -> bool:
    """Tell whether the warehouse has the table."""
    cursor.execute("select to_regclass(%s) is not null", (table.as_string(cursor),))
    row = cursor.fetchone()
    return bool(row and row[0])


def first_line(error: BaseException) -> str:
    """Return the first line of a database error, without a value in it; the lines after it may quote rows."""
    line = str(error).strip().partition("\n")[0]
    if isinstance(error, psycopg2.DataError):
        # `invalid input syntax for type bigint: "a message"`
        line = line.partition('"')[0].rstrip(" :") + f" ({type(error).__name__})"
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return f"{line}: another session keeps a table that it needs locked in an open transaction"
    return line


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the embedded Postgres below STORAGE_DIR, whether it is made yet or not."""
    return EmbeddedServer(settings.storage_dir / "postgres")


@contextlib.contextmanager
def open_warehouse(settings: Settings, to_write: bool = True) -> Iterator[Warehouse]:
    """Open the warehouse of the settings, starting the embedded Postgres where it is that and does not run.

    Sets libpq's variables for this process and what it starts. A server that was started only on demand is stopped at
    the end, unless somebody else is connected by then. Unless `to_write`, nothing asks for the right to write.
    Raises ConfigurationError where the warehouse cannot be reached or is not usable, or a right is missing, and
    BuildError where it fails later on.
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
    """Open the warehouse for a command that only reads what is published, as open_warehouse() does.

    Raises ConfigurationError where there is no embedded Postgres yet, in place of making one.
    """
    if settings.warehouse is None:
        try:
            embedded_server(settings).data_dir.stat()
        except FileNotFoundError as error:
            raise ConfigurationError(NOTHING_PUBLISHED) from error
        except OSError:
            # Opening it says why, and what to do.
            pass
    with open_warehouse(settings, to_write=False) as warehouse:
        yield warehouse


@contextlib.contextmanager
def _connection(settings: Settings) -> Iterator[Connection]:
    if settings.warehouse is not None:
        _set_variables(settings.warehouse)
        with contextlib.closing(connect()) as external:
            yield external
        return
    server = embedded_server(settings)
    connection: Connection | None = None
    try:
        with server.guard():
            server.start(on_demand=True)
            _set_variables(server.parameters())
            connection = connect()
        yield connection
    finally:
        # Without a connection there is no telling who else has one: the next command will.
        if connection is not None:
            with server.guard():
                own_session = connection.info.backend_pid
                connection.close()
                if server.is_on_demand() and not _anybody_on(server, but=own_session):
                    server.stop()


def runs_on(server: EmbeddedServer) -> bool:
    """Tell whether a command of the wrapper is connected to the running server."""
    with (
        contextlib.suppress(psycopg2.OperationalError),
        contextlib.closing(psycopg2.connect(server.url())) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select count(*) from pg_stat_activity where application_name = %s", (_APPLICATION,))
        row = cursor.fetchone()
        return bool(row and row[0])
    return False


def libpq_variable(parameter: str) -> str:
    """Return the environment variable for one of libpq's connection parameters."""
    return _VARIABLES.get(parameter, "PG" + parameter.upper().replace("_", ""))


def _set_variables(parameters: dict[str, str]) -> None:
    options = " ".join(filter(None, [_SESSION_OPTIONS, parameters.get("options"), _FIXED_OPTIONS]))
    for key, value in {"connect_timeout": CONNECT_SECONDS, **parameters, "options": options}.items():
        os.environ[libpq_variable(key)] = value


def _anybody_on(server: EmbeddedServer, but: int) -> bool:
    # On a connection of its own: the run's may have been ended from outside, or by an interrupt.
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


def _check(connection: Connection) -> None:
    # dbt's profile names these two, and libpq knows them once it is connected.
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


def check_rights(settings: Settings, connection: Connection) -> None:
    """Check that the user of the warehouse may do what a run does.

    Raises NoRightError with the first right that is missing.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("show transaction_read_only")
        if cursor.fetchone() == ("on",):
            raise NoRightError(
                "the warehouse is read-only: it is a standby, or default_transaction_read_only is on for it"
            )
        cursor.execute("select has_database_privilege(current_database(), 'temporary')")
        if cursor.fetchone() != (True,):
            # Without it a run would fail only after it has published.
            raise NoRightError(
                f"user {connection.info.user!r} may not create temporary tables, which a run needs: grant it temporary "
                f"on database {connection.info.dbname!r}, as deploy/roles.sql does"
            )
        for schema in (settings.warehouse_schema, settings.source_schema, settings.intermediate_schema):
            cursor.execute(
                """
                select case
                    when exists (select from pg_namespace where nspname = %(schema)s)
                        then has_schema_privilege(%(schema)s, 'usage') and has_schema_privilege(%(schema)s, 'create')
                    else has_database_privilege(current_database(), 'create')
                end
                """,
                {"schema": schema},
            )
            row = cursor.fetchone()
            if not (row and row[0]):
                raise NoRightError(
                    f"user {connection.info.user!r} may not write to schema {schema!r} of the warehouse: "
                    "grant it create there (or on the database, where the schema is missing)"
                )
