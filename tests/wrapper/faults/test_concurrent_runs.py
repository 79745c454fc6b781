"""Many runs, plain dbt and readers at the same time."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.compiled import start_plain_dbt
from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

GROUPS = 8
MEMBERS = 20
PUBLISHED = "signal_profile_snapshots"
SNAPSHOTS = f"signal_profiles.{PUBLISHED}"


class Readers:
    """Ten connections that poll the published table throughout and keep rows that they should never see."""

    def __init__(self, url: str) -> None:
        self.reads = 0
        self.torn: set[tuple[object, ...]] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._poll, args=(url,)) for _ in range(10)]

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _poll(self, url: str) -> None:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        # A whole state: every group has all its members, with the same number of messages each.
        sql = f"select group_slug, count(*), min(message_count), max(message_count) from {SNAPSHOTS} group by 1"
        while not self._stop.wait(0.2):
            found = query(connection, sql)
            self.reads += 1
            self.torn |= {row for row in found if row[1] != MEMBERS or row[2] != row[3]}
            if len(found) != GROUPS:
                self.torn.add((len(found),))
        connection.close()


@pytest.fixture
def groups(whiteballoon: WhiteBalloon) -> WhiteBalloon:
    """Eight groups of twenty members each, the same people in all of them."""
    for number in range(GROUPS):
        whiteballoon.group(*range(MEMBERS), slug=f"g{number}", name=f"G{number}", request_id=number)
    write(whiteballoon)
    return whiteballoon


@pytest.fixture
def readers(wrapper: Wrapper, groups: WhiteBalloon) -> Iterator[Readers]:
    wrapper.snapshot("--all")
    with Readers(wrapper.environ["WAREHOUSE_URL"]) as running:
        yield running
    assert running.torn == set()
    assert running.reads > 50


def write(whiteballoon: WhiteBalloon) -> None:
    """Add a message of every member to each group."""
    whiteballoon.execute("begin")
    for number in range(GROUPS):
        for user in range(MEMBERS):
            whiteballoon.comment(user, "hello", request_id=number)
    whiteballoon.execute("commit")


def counts(warehouse: Connection) -> list[tuple[object, ...]]:
    return query(warehouse, f"select distinct group_slug, message_count from {SNAPSHOTS} order by 1, 2")


def test_concurrent_scoped_runs_succeed_or_exit_with_75_and_lose_no_row(
    readers: Readers,
    wrapper: Wrapper,
    groups: WhiteBalloon,
    warehouse: Connection,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    codes = []
    for messages in range(2, 2 + amount(1, 5)):
        write(groups)
        # Half of them wait for each other.
        waits = [["--wait", "300"] if number % 2 else [] for number in range(amount(3, GROUPS))]
        runs = [wrapper.start("snapshot", "--all", "--group-slug", f"g{n}", *wait) for n, wait in enumerate(waits)]
        for number, run in enumerate(runs):
            _, stderr = run.communicate(timeout=300)
            assert run.returncode in ({0} if waits[number] else {0, 75}), stderr
            codes.append(run.returncode)
            if run.returncode == 0:
                assert (f"g{number}", messages) in counts(warehouse)
        wrapper.snapshot("--all")
        assert counts(warehouse) == [(f"g{number}", messages) for number in range(GROUPS)]
    assert "failed" not in {run["status"] for run in wrapper.log()}
    record_property(
        "done and locked out of runs, reads beside", f"{codes.count(0)}, {codes.count(75)}, {readers.reads}"
    )


@pytest.mark.full
def test_dbt_by_hand_beside_a_run_damages_no_rows(
    readers: Readers,
    wrapper: Wrapper,
    groups: WhiteBalloon,
    warehouse: Connection,
    tmp_path: Path,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    rounds = amount(1, 10)
    for number in range(rounds):
        write(groups)
        before = counts(warehouse)
        # Nothing may publish what a scoped dry run leaves behind.
        wrapper.snapshot("--all", "--group-slug", "g1", "--dry-run")
        assert counts(warehouse) == before
        by_hand = [
            start_plain_dbt(wrapper.environ["WAREHOUSE_URL"], tmp_path / arguments[-1], *arguments)
            for arguments in (["run", "-s", PUBLISHED], ["build", "--empty"], ["build", "--exclude", "test_type:unit"])
        ]
        time.sleep(0.7 * number)
        run = wrapper.start("snapshot", "--all")
        _, stderr = run.communicate(timeout=180)
        outputs = [process.communicate(timeout=180)[0] for process in by_hand]
        assert "Nothing is published in part or untested" in outputs[0]
        assert "--empty would publish a scope without rows" in outputs[1]
        # The second to start is refused; a build that meets a run half-way ends there, and publishes all or nothing.
        assert by_hand[2].returncode in {0, 1, 2}, outputs[2]
        assert run.returncode in {0, 1, 75}, stderr
        wrapper.snapshot("--all")
        assert counts(warehouse) == [(f"g{group}", number + 2) for group in range(GROUPS)]
    record_property("rounds, reads beside", f"{rounds}, {readers.reads}")


def test_concurrent_embedded_starts_share_one_server(wrapper: Wrapper) -> None:
    del wrapper.environ["WAREHOUSE_URL"]
    starts = [wrapper.start("db", "start") for _ in range(4)]
    urls = {start.communicate(timeout=120)[0] for start in starts}
    assert [start.returncode for start in starts] == [0] * 4
    assert len(urls) == 1
    connection = psycopg2.connect(urls.pop().strip())
    assert query(connection, "select 1") == [(1,)]
    connection.close()
    wrapper.succeed("db", "stop")
