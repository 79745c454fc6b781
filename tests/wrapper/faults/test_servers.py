"""The warehouse's server stops without notice, in the middle of runs."""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wrapper.conftest import Wrapper, wait_until
from tests.wrapper.faults.test_kills import random_moment
from tests.wrapper.forked import Process
from tests.wrapper.rules.test_rows import awkward_whiteballoon
from tests.wrapper.servers import Server, start_server
from tests.wrapper.whiteballoon import WhiteBalloon


def crash(data_dir: Path) -> None:
    """Stop a server, if it has not ended, as `pg_ctl stop -m immediate` or a power failure does."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
        os.kill(int((data_dir / "postmaster.pid").read_text().splitlines()[0]), signal.SIGQUIT)


def exported(wrapper: Wrapper) -> list[str]:
    return wrapper.succeed("export").stdout.splitlines()


def check_failure(wrapper: Wrapper, process: Process) -> int:
    """Wait for a run whose server went away, and return its exit code."""
    stdout, stderr = process.communicate(timeout=120)
    entry = json.loads(stdout)
    assert entry == wrapper.log()[-1]
    code = process.wait()
    if code:
        assert stderr.splitlines()[-1].startswith("wrapper: ")
        assert "Traceback" not in stderr
        assert (entry["status"], f"wrapper: {entry['error']}") == ("failed", stderr.splitlines()[-1])
    return code


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may crash."""
    folder = tmp_path / "server"
    folder.mkdir()
    with start_server("18", folder) as running:
        yield running


@pytest.mark.full
def test_run_when_the_external_server_crashes_fails_cleanly_and_keeps_the_rows(
    own_server: Server,
    wrapper: Wrapper,
    whiteballoon: WhiteBalloon,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    awkward_whiteballoon(whiteballoon)
    wrapper.environ["WAREHOUSE_URL"] = own_server.url("postgres")
    wrapper.snapshot("--all")
    before = exported(wrapper)
    # A run that has nothing to build would end before the server does.
    seconds = wrapper.snapshot("--all", "--rebuild")["duration_seconds"]
    rng = random.Random(3)
    codes = []
    for _ in range(amount(1, 10)):
        process = wrapper.start("snapshot", "--all", "--rebuild", "--json")
        time.sleep(random_moment(rng, seconds))
        crash(own_server.embedded.data_dir)
        codes.append(check_failure(wrapper, process))
        wait_until(lambda: not own_server.embedded.is_running())
        refused = wrapper("export")
        assert refused.code == 2
        assert refused.stderr.startswith("wrapper: the warehouse cannot be reached, see WAREHOUSE_URL: ")
        own_server.embedded.start(on_demand=False)
        assert exported(wrapper) == before
    assert set(codes) <= {0, 1, 2}
    assert codes.count(0) < len(codes)
    wrapper.snapshot("--all")
    record_property("runs that failed of servers stopped", f"{len(codes) - codes.count(0)} of {len(codes)}")


def test_run_when_the_embedded_server_crashes_fails_cleanly_and_keeps_the_rows(
    wrapper: Wrapper,
    whiteballoon: WhiteBalloon,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    awkward_whiteballoon(whiteballoon)
    del wrapper.environ["WAREHOUSE_URL"]
    wrapper.snapshot("--all")
    before = exported(wrapper)
    seconds = wrapper.snapshot("--all", "--rebuild")["duration_seconds"]
    data_dir = wrapper.cwd / "storage" / "postgres"
    rng = random.Random(4)
    codes = []
    for _ in range(amount(1, 10)):
        process = wrapper.start("snapshot", "--all", "--rebuild", "--json")
        wait_until((data_dir / "postmaster.pid").exists)
        time.sleep(rng.uniform(0, 0.9) * seconds)
        crash(data_dir)
        codes.append(check_failure(wrapper, process))
        # The next command starts it, and it recovers by itself.
        assert exported(wrapper) == before
    assert set(codes) <= {0, 1, 2}
    assert codes.count(0) < len(codes)
    wrapper.snapshot("--all")
    assert wrapper.succeed("db", "status").stdout == "stopped\n"
    record_property("runs that failed of servers stopped", f"{len(codes) - codes.count(0)} of {len(codes)}")
