"""A text in a SQLite column is a timestamp if it has the documented form and Python's own parser accepts it."""

import re
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wrapper.dbt_project import SourceColumn, SourceTable
from wrapper.errors import ConfigurationError
from wrapper.nightly.copy_lines import CopyLines
from wrapper.nightly.sqlite_source import SqliteSource

FORM = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?", re.ASCII)
KINDS = {"id": "bigint", "at": "timestamp"}
TABLE = SourceTable(
    "whiteballoon", "moments", False,
    tuple(SourceColumn(name, kind, False, False, False, None) for name, kind in KINDS.items()),
)  # fmt: skip
NEARLY = st.builds(
    "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}".format,
    st.sampled_from([0, 1, 1900, 2000, 2023, 2024, 9999]), st.integers(0, 13), st.integers(0, 32),
    st.sampled_from(" T t"), st.integers(0, 25), st.integers(0, 60), st.integers(0, 61),
    st.sampled_from(["", ".0", ".999999", ".123000", ".1234567", ".", "Z", "+02:00", "\0", ".5\0", " ", ".1e3", "\n"]),
)  # fmt: skip


def is_moment(text: str) -> bool:
    """Return whether the SQL must accept the text."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    # Newer Pythons read 24:00 as midnight.
    return FORM.fullmatch(text) is not None and text[11:13] != "24"


@pytest.fixture(scope="module")
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("create table moments (id integer primary key, at datetime)")
    return made


@given(text=NEARLY | st.text(alphabet="0123456789-:. T", max_size=27))
@example(text="2024-12-31T23:59:59.999999")
@example(text="2023-02-29 00:00:00.000000")
@example(text="0000-01-01 00:00:00.999999")
@example(text="2024-03-18 12:00:00.000000\0")
@example(text="2024-03-1x 12:00:00.000000")
@example(text="2024-03-18 12:00:6x.000000")
@example(text="2024-03-18 24:00:00.000000")
@example(text="-024-03-18 12:00:00.000000")
def test_timestamp_is_loaded_only_if_it_has_the_form_and_exists(connection: sqlite3.Connection, text: str) -> None:
    connection.text_factory = str
    connection.execute("delete from moments")
    connection.execute("insert into moments values (7, cast(? as text))", (text,))
    kind = connection.execute("select typeof(at) from moments").fetchone()[0]
    connection.text_factory = bytes
    lines = CopyLines(SqliteSource("DATABASE_URL", Path("app.db"), connection), TABLE)
    if kind == "text" and is_moment(text):
        assert list(lines.chunks()) == [f"7\t{text}\n".encode()]
    else:
        with pytest.raises(
            ConfigurationError, match=r"table moments, row id 7, column at: the value is not a timestamp"
        ):
            list(lines.chunks())
