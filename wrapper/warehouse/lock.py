"""The lock of a run: one run at a time for each database and schema."""

import contextlib
import time

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from wrapper.errors import LockedError

_POLL_SECONDS = 0.5


class RunLock:
    """An advisory lock, held by the session of `connection` from before the load until the hashes are stored."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def acquire(self, wait_seconds: float) -> None:
        """Take the lock, waiting up to `wait_seconds` for another run to end.

        Raises LockedError if the time runs out.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._scalar("select pg_try_advisory_lock(hashtextextended(%s, 0))", self._name):
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"another run holds the lock of schema {self._schema}: "
                    "try again later, or wait for it with --wait SECONDS"
                )
            time.sleep(min(_POLL_SECONDS, max(deadline - time.monotonic(), 0)))

    def release(self) -> None:
        """Release the lock, which a closed session no longer holds."""
        if not self._connection.closed:
            self._scalar("select pg_advisory_unlock(hashtextextended(%s, 0))", self._name)

    def is_held(self) -> bool:
        """Return whether the lock is still held; it is lost if its session is terminated."""
        with contextlib.suppress(psycopg2.Error):
            return self._scalar(
                """
                select exists (
                    select from pg_locks
                    where locktype = 'advisory' and pid = pg_backend_pid() and granted
                        and (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
                )
                """,
                self._name,
            )
        return False

    @property
    def _name(self) -> str:
        return f"signal-profile-snapshots:{self._schema}"

    def _scalar(self, sql: str, *arguments: object) -> bool:
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            row = cursor.fetchone()
        return bool(row and row[0])
