"""Reading WhiteBalloon's SQLite files: read-only, in one consistent read each, as lines of Postgres's COPY."""

import contextlib
import dataclasses
import json
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from wrapper.errors import ConfigurationError
from wrapper.project import SourceColumn, SourceTable

# How long to wait for WhiteBalloon to finish a commit that keeps readers out.
_BUSY_SECONDS = 30
_BUSY_POLL_SECONDS = 0.05
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_NULL: Final = r"\N"
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Every JSON reader has a limit, and Python's differs by version; labels of a deeper text are nothing anybody meant.
_DEEPEST = 500
# A string without its end goes on to that of the text: to look again inside it would cost quadratic time.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# Byte 18 of a SQLite file is its write version, which is 2 in WAL mode.
_WRITE_VERSION_OFFSET, _WAL = 18, 2


class _UnfitValueError(Exception):
    """A value that cannot be what its column says; the message says what it is not."""


class _Decoder:
    """SQLite's text to what Postgres can hold, counting the values that had to change."""

    def __init__(self) -> None:
        self.replaced = 0

    def __call__(self, raw: bytes) -> str:
        text = raw.decode(errors="replace").replace("\0", _REPLACEMENT)
        # A text that has U+FFFD of its own comes back as it was.
        if _REPLACEMENT in text and text.encode() != raw:
            self.replaced += 1
        return text


@dataclasses.dataclass
class SqliteSource:
    """One SQLite file, open for one consistent read; `setting` names where its path came from."""

    setting: str
    path: Path
    _connection: sqlite3.Connection
    _decoder: _Decoder

    @property
    def replaced(self) -> int:
        """How many text values so far held NUL or invalid UTF-8, which U+FFFD replaced."""
        return self._decoder.replaced

    def has_table(self, table: SourceTable) -> bool:
        """Tell whether the file has the table.

        Raises ConfigurationError where it has, but without a column that the project reads.
        """
        present = self._columns(table)
        for column in _stored(table):
            if present and column.name not in present and not column.optional:
                raise ConfigurationError(
                    f"{self.setting}: {self.path}: table {table.name} has no column {column.name}: "
                    "is it a WhiteBalloon database?"
                )
        return bool(present)

    def has_rows(self, name: str, condition: str = "true", *parameters: object) -> bool:
        """Tell whether the table of this name has a row that meets the condition."""
        query = f'select exists (select 1 from "{name}" where {condition})'  # noqa: S608 - our own names
        return bool(self._connection.execute(query, parameters).fetchone()[0])

    def copy_lines(self, table: SourceTable) -> Iterator[str]:
        """Yield the table's rows in the text form of Postgres's COPY, the columns in the table's order.

        Raises ConfigurationError, naming file, table, row and column, at a value that cannot be what its column says.
        """
        names = [column.name for column in _stored(table)]
        plan = [
            (column, names.index(column.parsed_from or column.name), _converter(column)) for column in table.columns
        ]
        present = self._columns(table)
        selected = ", ".join(f'"{name}"' if name in present else "null" for name in names)
        for row in self._connection.execute(f'select {selected} from "{table.name}"'):  # noqa: S608 - our own names
            fields = []
            for column, index, convert in plan:
                try:
                    fields.append(_null(column) if row[index] is None else convert(row[index]))
                except _UnfitValueError as error:
                    # A key that is no number may be anything, and is not to be quoted.
                    key = row[0] if isinstance(row[0], int) else "that is no number"
                    raise ConfigurationError(
                        f"{self.setting}: {self.path}: table {table.name}, row {table.key} {key}, "
                        f"column {column.name}: the value {error}; correct it in WhiteBalloon"
                    ) from None
            yield "\t".join(fields) + "\n"

    def _columns(self, table: SourceTable) -> set[str]:
        return {row[1] for row in self._connection.execute("select * from pragma_table_info(?)", (table.name,))}


@contextlib.contextmanager
def open_sqlite(setting: str, path: Path) -> Iterator[SqliteSource]:
    """Open a SQLite file read-only for one consistent read, while WhiteBalloon may be writing to it.

    Raises ConfigurationError where the file is missing, is no SQLite database or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError(f"{setting}: {path} is no file")
    except FileNotFoundError as error:
        raise ConfigurationError(f"{setting}: there is no file {path}") from error
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    decoder = _Decoder()
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0, isolation_level=None)
        with contextlib.closing(connection):
            connection.text_factory = decoder
            _begin(connection)
            yield SqliteSource(setting, path, connection, decoder)
    except sqlite3.Error as error:
        raise ConfigurationError(f"{setting}: {path}: {_explain(path, error)}") from error


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("begin")
    # SQLite's own way to wait for a lock cannot be interrupted.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            # The first read after `begin` fixes what all later ones see.
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
        return "this is no SQLite database"
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
                    f"it is in WAL mode, which to read takes write permission on {path.absolute().parent}: "
                    "run as WhiteBalloon's user, or grant it"
                )
        return f"it cannot be opened ({error}): is it readable for this user?"
    return str(error)


def _stored(table: SourceTable) -> list[SourceColumn]:
    return [column for column in table.columns if column.parsed_from is None]


def _null(column: SourceColumn) -> str:
    if not column.nullable:
        raise _UnfitValueError("is missing")
    return _NULL


def _converter(column: SourceColumn) -> Callable[[Any], str]:
    return _json_array if column.parsed_from else _CONVERTERS[column.data_type]


def _bigint(value: object) -> str:
    if not isinstance(value, int):
        raise _UnfitValueError("is no whole number")
    return str(value)


def _boolean(value: object) -> str:
    if value not in (0, 1):
        raise _UnfitValueError("is neither 0 nor 1")
    return str(bool(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _UnfitValueError("is no text")
    # The backslash first, since the others bring one; str.translate() takes ten times as long on a body.
    return value.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _timestamp(value: object) -> str:
    # Postgres itself would take `yesterday`, and drop an offset without a word.
    if not (isinstance(value, str) and _TIMESTAMP.fullmatch(value)):
        raise _UnfitValueError("is no timestamp like 2024-03-18 12:00:00")
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _UnfitValueError("is no timestamp of the calendar") from None
    return value


def _json_array(text: str) -> str:
    """The JSON array in a tag column, with null for entries that are no strings; SQL's null for any other text."""
    # As most are.
    if text == "[]":
        return text
    if not text.lstrip(" \t\r\n").startswith("["):
        return _NULL
    if _nesting(text) > _DEEPEST:
        return "[]"
    try:
        entries = _ARRAYS.decode(text)
    except ValueError:
        return _NULL
    labels = [_UNSTORABLE.sub(_REPLACEMENT, entry) if isinstance(entry, str) else None for entry in entries]
    return _text(json.dumps(labels))


def _nesting(text: str) -> int:
    """How deep the brackets outside strings go."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > _DEEPEST:
        for match in _STRING_OR_BRACKET.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
            deepest = max(deepest, depth)
    return deepest


def _unread(_: str) -> None:
    return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


# Numbers stay unread: Python and Postgres each have a limit on them, and no rule asks for them.
_ARRAYS = json.JSONDecoder(parse_int=_unread, parse_float=_unread, parse_constant=_refuse)
_CONVERTERS: dict[str, Callable[[Any], str]] = {
    "bigint": _bigint,
    "boolean": _boolean,
    "text": _text,
    "timestamp": _timestamp,
}
