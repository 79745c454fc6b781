"""Runs that are killed or interrupted at random moments, against a source that changes from run to run."""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.forked import Process
from tests.wrapper.nightly.test_after_publishing import INTERRUPTED
from tests.wrapper.whiteballoon import WhiteBalloon

MEMBERS = 40
SNAPSHOTS = "signal_profiles.signal_profile_snapshots"
HASHES = "signal_profiles.signal_profile_snapshot_hashes"


class History:
    """A WhiteBalloon in which, before run number n, every member has n comments; and what readers see of it."""

    def __init__(
        self, wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection, *, fresh: bool = False
    ) -> None:
        self.wrapper = wrapper
        self.warehouse = warehouse
        self.whiteballoon = whiteballoon
        # Whether a run includes the start of Python and dbt.
        self.fresh = fresh
        self.version = 0
        self.published = 0
        # How long the last run that finished took.
        self.seconds = 0.0
        whiteballoon.group(*range(MEMBERS))

    def start(self) -> Process:
        """Change the source and start a run."""
        self.version += 1
        self.whiteballoon.execute("begin")
        for member in range(MEMBERS):
            self.whiteballoon.comment(member, f"https://example.org/{self.version}", tags=["food", None, None])
        self.whiteballoon.execute("commit")
        return self.wrapper.start("snapshot", "--all", "--json", start_new_session=True, fresh=self.fresh)

    def finish(self) -> None:
        """Start a run and wait for its end; it must succeed."""
        process = self.start()
        stdout, stderr = process.communicate(timeout=180)
        assert process.returncode == 0, stderr
        self.look()
        assert self.published == self.version
        assert query(self.warehouse, f"select user_id, group_slug, snapshot_hash from {HASHES} order by 1, 2") == [
            (line["snapshot"]["user_id"], line["snapshot"]["group_slug"], line["snapshot_hash"])
            for line in map(json.loads, self.wrapper.succeed("export").stdout.splitlines())
        ]
        self.seconds = json.loads(stdout)["duration_seconds"]

    def look(self) -> None:
        """Read as anybody may at any time; the rows are all of the last finished run, or all of the new one."""
        found = query(self.warehouse, f"select min(message_count), max(message_count), count(*) from {SNAPSHOTS}")
        assert found in [[(version, version, MEMBERS)] for version in (self.published, self.version)]
        self.published = found[0][0]


@pytest.fixture
def history(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection, amount: Callable[[int, int], int]
) -> History:
    history = History(wrapper, whiteballoon, warehouse, fresh=bool(amount(0, 1)))
    history.finish()
    return history


def handles_signals(pid: int) -> bool:
    """Return whether the process has installed signal handlers, which Python programs do only after they start."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & 1 << (signal.SIGTERM - 1))
    return False


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to the whole process group, if it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def random_moment(rng: random.Random, seconds: float) -> float:
    """Return when to strike in a run of so many seconds; a third of the time in its last part, which is short."""
    return rng.uniform(0.75 * seconds, 1.05 * seconds) if rng.random() < 1 / 3 else rng.uniform(0, seconds)


def test_killed_run_leaves_whole_rows_and_the_next_one_succeeds(
    history: History, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(1)
    kills = tried = published = 0
    while kills < amount(1, 80):
        process = history.start()
        time.sleep(random_moment(rng, history.seconds))
        before = history.published
        tried += 1
        kills += process.poll() is None
        send(process, signal.SIGKILL)
        process.communicate()
        history.look()
        published += history.published > before
        # Half of the time, the next run is killed too.
        if rng.random() < 0.5:
            history.finish()
    history.finish()
    runs = history.wrapper.log()
    assert len(runs) >= 2
    assert {run["status"] for run in runs} == {"success"}
    record_property("kills survived of tried, of which after the publishing", f"{kills} of {tried}, {published}")


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, id="SIGTERM"), pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.full)],
)
def test_interrupted_run_says_so_within_five_seconds_and_leaves_whole_rows(
    history: History,
    number: signal.Signals,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    rng = random.Random(2)
    slowest = 0.0
    codes = []
    for strike in range(amount(1, 25)):
        process = history.start()
        wait_until(lambda: handles_signals(process.pid))  # noqa: B023 - called at once
        # The first strike is in mid-run, so that at least one run is interrupted.
        moment = random_moment(rng, history.seconds) if strike else history.seconds / 2
        time.sleep(moment)
        struck = time.monotonic()
        send(process, number)
        # A busy CI machine may itself take five seconds.
        stdout, stderr = process.communicate(timeout=amount(60, 5))
        slowest = max(slowest, time.monotonic() - struck)
        codes.append(process.returncode)
        last = history.wrapper.log()[-1]
        if process.returncode == 0:
            assert last["status"] == "success"
        else:
            assert (process.returncode, stderr) == (130, f"wrapper: {last['error']}\n")
            assert (last["status"], last["error"]) in [("interrupted", "interrupted"), ("interrupted", INTERRUPTED)]
        assert stdout.startswith("{"), f"{stdout!r} after {moment} s"
        assert json.loads(stdout) == last
        history.look()
        if last["error"] == INTERRUPTED:
            assert history.published == history.version
        if rng.random() < 0.5:
            history.finish()
    history.finish()
    assert codes.count(130) >= amount(1, 12)
    record_property("interrupted of tried, slowest answer", f"{codes.count(130)} of {len(codes)}, {slowest:.1f} s")
