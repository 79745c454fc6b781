"""WhiteBalloon's SQLite files: opened read-only, or copied in one short read, so that WhiteBalloon never waits."""

import contextlib
import dataclasses
import hashlib
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from wrapper.dbt_project import SourceTable
from wrapper.errors import ConfigurationError

# How long to wait while a commit of WhiteBalloon blocks readers.
_BUSY_SECONDS = 30
_BUSY_POLL_SECONDS = 0.05
# Byte 18 of a SQLite file is its write version, which is 2 in WAL mode.
_WRITE_VERSION_OFFSET, _WAL = 18, 2
_CHANGE_COUNTER_OFFSET = 24


@dataclasses.dataclass
class SqliteSource:
    """A SQLite file that is open for one consistent read; `setting` is the setting that named its path."""

    setting: str
    path: Path
    connection: sqlite3.Connection

    def has_table(self, table: SourceTable) -> bool:
        """Return whether the file has the table.

        Raises ConfigurationError if the table lacks a column that the project reads.
        """
        present = self.columns(table)
        for column in table.stored:
            if present and column.name not in present and not column.optional:
                raise ConfigurationError(
                    f"{self.setting}: {self.path}: table {table.name} has no column {column.name}: "
                    "is it a WhiteBalloon database?"
                )
        return bool(present)

    def columns(self, table: SourceTable) -> set[str]:
        """Return the names of the table's columns, none if the file does not have it."""
        found = self.connection.execute("select name from pragma_table_info(?)", (table.name,))
        return {name.decode() if isinstance(name, bytes) else name for (name,) in found}

    def has_rows(self, name: str) -> bool:
        """Return whether the table with this name has a row."""
        query = f'select exists (select 1 from "{name}")'  # noqa: S608 - our own names
        return bool(self.connection.execute(query).fetchone()[0])


@dataclasses.dataclass
class SqliteCopy(SqliteSource):
    """A private copy of a SQLite file; `path` is that of the original, and `file` the descriptor of the copy."""

    file: int

    def digest_pages(self, table: SourceTable) -> str | None:
        """Return a digest of the pages that hold the table; if it is equal, so are all rows.

        Returns None if the table is a view, or if this SQLite was built without dbstat, which lists the pages.
        """
        schema = "select sql, rootpage from sqlite_master where name = ?"
        query = "select pageno, pgsize from dbstat where name = ? order by pageno"
        [encoding] = self.connection.execute("pragma encoding")
        described = repr((encoding, self.connection.execute(schema, (table.name,)).fetchall())).encode()
        try:
            pages = self.connection.execute(query, (table.name,))
        except sqlite3.OperationalError:
            return None
        digest = hashlib.blake2b(described)
        found = False
        for number, size in pages:
            found = True
            digest.update(number.to_bytes(8, "big"))
            digest.update(os.pread(self.file, size, (number - 1) * size))
        return digest.hexdigest() if found else None


@contextlib.contextmanager
def open_sqlite(setting: str, path: Path) -> Iterator[SqliteSource]:
    """Open a SQLite file read-only for one consistent read; WhiteBalloon cannot commit until it ends.

    Raises ConfigurationError if the file cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError(f"{setting}: {path} is not a file")
    except FileNotFoundError as error:
        raise ConfigurationError(f"{setting}: {path} does not exist") from error
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    with _explaining(setting, path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0, isolation_level=None)
        with contextlib.closing(connection):
            _begin(connection)
            yield SqliteSource(setting, path, connection)


@contextlib.contextmanager
def copy_sqlite(setting: str, path: Path, storage_dir: Path) -> Iterator[SqliteCopy]:
    """Copy a SQLite file to a private file below `storage_dir` and open the copy, which returns text as bytes.

    WhiteBalloon can write again as soon as the copy is complete. The private file has no name, so the system removes it
    even if this process is killed.
    Raises ConfigurationError if the file cannot be read, or the copy cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with open_sqlite(setting, path) as source:
            try:
                file = stack.enter_context(tempfile.NamedTemporaryFile(dir=storage_dir, prefix=".copy-", delete=False))
                copy = stack.enter_context(contextlib.closing(_connect(file.name)))
                Path(file.name).unlink()
                copy.executescript("pragma synchronous = off; pragma journal_mode = off")
                source.connection.backup(copy, pages=-1)
            except OSError as error:
                raise _no_room(path, storage_dir, error.strerror or str(error)) from error
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
                    raise _no_room(path, storage_dir, str(error)) from error
                raise
        _leave_wal_mode(file.fileno())
        copy.text_factory = bytes
        with _explaining(setting, path):
            yield SqliteCopy(setting, path, copy, file.fileno())


def _connect(name: str) -> sqlite3.Connection:
    # Lines are made in another thread than the one that opens and closes the copy.
    return sqlite3.connect(name, isolation_level=None, check_same_thread=False)


def _leave_wal_mode(descriptor: int) -> None:
    """Switch the copy to a rollback journal, since a file without a name cannot have a WAL file beside it."""
    os.pwrite(descriptor, bytes([1, 1]), _WRITE_VERSION_OFFSET)
    # SQLite re-reads the first page only if the file's change counter has changed.
    counter = int.from_bytes(os.pread(descriptor, 4, _CHANGE_COUNTER_OFFSET), "big")
    os.pwrite(descriptor, (counter ^ 1).to_bytes(4, "big"), _CHANGE_COUNTER_OFFSET)


def _no_room(path: Path, storage_dir: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"STORAGE_DIR: {storage_dir} cannot hold a copy of {path} while it is loaded ({reason}): make room there"
    )


@contextlib.contextmanager
def _explaining(setting: str, path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigurationError(f"{setting}: {path}: {_explain(path, error)}") from error


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("begin")
    # SQLite's own wait for a lock cannot be interrupted.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            # The first read after `begin` fixes the snapshot for all later reads.
            connection.execute("select count(*) from sqlite_master").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_BUSY_POLL_SECONDS)


def _explain(path: Path, error: sqlite3.Error) -> str:
    extended_code = getattr(error, "sqlite_errorcode", 0)
    code = extended_code & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "this is not a SQLite database"
    if code == sqlite3.SQLITE_BUSY:
        return f"another program has kept it locked for {_BUSY_SECONDS} seconds: try again later"
    if extended_code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return "WhiteBalloon was stopped while it wrote: start it once, so that it finishes or undoes that"
    if code == sqlite3.SQLITE_CORRUPT:
        return "it is damaged: check it with sqlite3 and `pragma integrity_check`, or restore it"
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if file.read(100)[_WRITE_VERSION_OFFSET : _WRITE_VERSION_OFFSET + 1] == bytes([_WAL]):
                return (
                    "the database is in WAL mode, and reading it requires write permission on "
                    f"{path.absolute().parent}: run as WhiteBalloon's user, or grant it"
                )
        return f"it cannot be opened ({error}): is it readable for this user?"
    return str(error)
