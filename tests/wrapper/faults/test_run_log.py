"""The run log under many writers, one of which is killed in mid-write."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_WRITERS = 16
_LINES = 40
# Long enough that some kills hit the writer in mid-write.
_APPEND = """
import sys
from pathlib import Path
from wrapper.nightly.run_log import Entry, RunLog
storage, run_id, lines, length = sys.argv[1:]
log = RunLog(Path(storage))
for _ in range(int(lines)):
    log.append(Entry("2026-01-01T00:00:00", run_id, False, None, None, None, "0", error="x" * int(length)))
"""


def start(storage: Path, run_id: str, lines: int, length: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _APPEND, str(storage), run_id, str(lines), str(length)])


def test_log_writer_killed_in_mid_write_damages_only_its_own_line(
    tmp_path: Path, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    torn = 0
    rounds = amount(2, 40)
    for number in range(rounds):
        storage = tmp_path / str(number)
        victim = start(storage, "victim", 10**6, 30_000_000)
        log = storage / "signal_profile_snapshot.log"
        while not (log.exists() and log.stat().st_size):
            time.sleep(0.01)
        writers = [start(storage, str(writer), _LINES, 2000) for writer in range(_WRITERS - 1)]
        # Kill later in each round, so that writes break off at different places.
        time.sleep(0.002 * number)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert [writer.wait(timeout=60) for writer in writers] == [0] * len(writers)

        whole = []
        broken = 0
        for line in log.read_bytes().splitlines(keepends=True):
            assert line.endswith(b"\n")
            try:
                whole.append(json.loads(line)["run_id"])
            except ValueError:
                assert line.startswith(b'{"timestamp"')
                broken += 1
        assert broken <= 1
        torn += broken
        for writer in range(_WRITERS - 1):
            assert whole.count(str(writer)) == _LINES
    record_property("kills, of which in mid-write", f"{rounds}, {torn}")


def test_log_writer_after_a_torn_line_terminates_it(tmp_path: Path) -> None:
    log = tmp_path / "signal_profile_snapshot.log"
    log.write_bytes(b'{"run_id": "whole"}\n{"run_id": "to')
    assert start(tmp_path, "next", 1, 1).wait() == 0
    first, torn, last = log.read_bytes().splitlines()
    assert (json.loads(first)["run_id"], torn, json.loads(last)["run_id"]) == ("whole", b'{"run_id": "to', "next")


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_log_writer_on_an_empty_log_adds_no_empty_line(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "signal_profile_snapshot.log"
    log.write_bytes(content)
    assert start(tmp_path, "first", 1, 1).wait() == 0
    assert log.read_bytes().count(b"\n") == content.count(b"\n") + 1
