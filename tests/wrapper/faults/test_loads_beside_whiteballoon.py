"""WhiteBalloon reads and writes its SQLite files while they are loaded, and hardly waits."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.whiteballoon import WhiteBalloon

# SQLite's default.
_TIMEOUT_SECONDS = 5
_FILL = """
with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < ?)
insert into request_comments (help_request_id, user_id, body, created_at)
select 1, 1, 'https://example.org/' || number || ' ' || hex(randomblob(40)), '2024-03-18 12:00:00.000000' from numbers
"""


class Busy:
    """Requests to WhiteBalloon, one after another, each with a connection of its own; the slowest is remembered."""

    def __init__(self, whiteballoon: WhiteBalloon, statement: str) -> None:
        self.errors: list[str] = []
        self.requests = 0
        self.slowest = 0.0
        self._path = whiteballoon.app_path
        self._statement = statement
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                with contextlib.closing(sqlite3.connect(self._path, timeout=_TIMEOUT_SECONDS)) as app, app:
                    app.execute(self._statement).fetchall()
            except sqlite3.Error as error:
                self.errors.append(str(error))
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.requests += 1
            time.sleep(0.01)

    def __enter__(self) -> "Busy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def reader_and_writer(whiteballoon: WhiteBalloon) -> tuple[Busy, Busy]:
    whiteballoon.execute("insert into users values (1, 'ana')")
    return (
        Busy(whiteballoon, "select username from users"),
        Busy(whiteballoon, "update users set username = hex(randomblob(4))"),
    )


def test_whiteballoon_commits_while_a_load_waits_for_the_warehouse(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection, blocker: Connection
) -> None:
    wrapper.succeed("load")
    query(blocker, "lock table signal_profiles_source.user_attributes in access exclusive mode")
    process = wrapper.start("load")
    wait_until(
        lambda: (
            query(warehouse, "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'") == [(True,)]
        )
    )
    with contextlib.closing(sqlite3.connect(whiteballoon.app_path, timeout=0)) as app, app:
        app.execute("insert into users values (1, 'ana')")
    # The copy that the load reads has no name that anybody could open.
    assert [path.name for path in (wrapper.cwd / "storage").iterdir() if path.name.startswith(".copy")] == []
    blocker.rollback()
    assert process.communicate(timeout=60)[1].startswith("loaded, rows per table:\n")


@pytest.mark.full
def test_whiteballoon_while_a_million_comments_are_loaded_waits_under_a_second(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, record_property: Callable[[str, object], None]
) -> None:
    whiteballoon.group(1)
    whiteballoon.execute(_FILL, 1_000_000)
    reader, writer = reader_and_writer(whiteballoon)
    with reader, writer:
        wrapper.succeed("load")
    assert reader.errors + writer.errors == []
    record_property("requests and slowest, reading", f"{reader.requests}, {reader.slowest:.2f} s")
    record_property("requests and slowest, writing", f"{writer.requests}, {writer.slowest:.2f} s")
    assert max(reader.slowest, writer.slowest) < 1
