"""Runs on full disks: a small disk in a mount namespace below each place that a run writes to."""

import json

import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.disks import SmallDisk
from tests.wrapper.rules.test_rows import awkward_whiteballoon
from tests.wrapper.whiteballoon import WhiteBalloon


def run(disk: SmallDisk, wrapper: Wrapper, *arguments: str) -> str:
    """Run the wrapper on the disk, which must succeed, and return what it printed."""
    result = disk.run(wrapper, *arguments)
    assert result.code == 0, result.stderr
    return result.stdout


@pytest.mark.full
def test_run_on_a_full_warehouse_disk_fails_with_one_line_and_keeps_the_rows(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, request: pytest.FixtureRequest
) -> None:
    awkward_whiteballoon(whiteballoon)
    disk = SmallDisk(wrapper.cwd / "small", 300)
    request.addfinalizer(disk.close)
    of_server = Wrapper(wrapper.cwd, {"STORAGE_DIR": "small"})
    wrapper.environ["WAREHOUSE_URL"] = run(disk, of_server, "db", "start").strip()
    run(disk, wrapper, "snapshot", "--all")
    before = run(disk, wrapper, "export")
    disk.fill()
    whiteballoon.comment(1, "x" * 50_000_000)
    result = disk.run(wrapper, "snapshot", "--all")
    assert result.code in {1, 2}
    assert result.stderr.startswith("wrapper: the warehouse ")
    assert len(result.stderr.splitlines()) == 1
    assert wrapper.log()[-1]["status"] == "failed"
    disk.clear()
    # A server without room for its own log stops; if it is started again, it recovers.
    run(disk, of_server, "db", "start")
    assert run(disk, wrapper, "export") == before
    assert json.loads(run(disk, wrapper, "snapshot", "--all", "--json"))["generated"] == 10
    run(disk, of_server, "db", "stop")


def test_run_on_a_full_storage_disk_says_that_its_log_cannot_be_written(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, request: pytest.FixtureRequest
) -> None:
    awkward_whiteballoon(whiteballoon)
    disk = SmallDisk(wrapper.cwd / "storage", 60)
    request.addfinalizer(disk.close)
    run(disk, wrapper, "snapshot", "--all")
    before = run(disk, wrapper, "export")
    # Fill the last page of the log, where the next line would fit even on a full disk.
    log = disk.path / "signal_profile_snapshot.log"
    with log.open("a") as file:
        file.write("\n".rjust(-log.stat().st_size % 4096))
    disk.fill()
    whiteballoon.comment(1, "one more")
    result = disk.run(wrapper, "snapshot", "--all", "--json")
    assert result.code == 2
    line = result.stderr.splitlines()[-1]
    assert line.startswith("wrapper: STORAGE_DIR: the run ended with ")
    assert line.endswith("but signal_profile_snapshot.log cannot be written: No space left on device")
    assert "Traceback" not in result.stderr
    # The status that the run reports is true of the rows.
    entry = json.loads(result.stdout)
    assert (run(disk, wrapper, "export") == before) == (entry["status"] == "failed")
    disk.clear()
    assert json.loads(run(disk, wrapper, "snapshot", "--all", "--json"))["generated"] == 10


@pytest.mark.full
def test_run_on_a_full_output_disk_counts_stale_files_and_the_next_writes_them(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, request: pytest.FixtureRequest
) -> None:
    awkward_whiteballoon(whiteballoon)
    disk = SmallDisk(wrapper.cwd / "out", 1)
    request.addfinalizer(disk.close)
    run(disk, wrapper, "snapshot", "--all", "--output-dir", "out")
    disk.fill()
    for user in range(1, 4):
        whiteballoon.comment(user, "one more")
    result = disk.run(wrapper, "snapshot", "--all", "--output-dir", "out")
    assert result.code == 2
    assert result.stderr.startswith("wrapper: the snapshots are published, but 4 files in --output-dir are not up to ")
    entry = wrapper.log()[-1]
    assert (entry["status"], f"wrapper: {entry['error']}\n") == ("failed", result.stderr)
    disk.clear()
    assert json.loads(run(disk, wrapper, "snapshot", "--all", "--json", "--output-dir", "out"))["changed"] == 0
    payloads = sorted(json.dumps(json.loads(path.read_text()), sort_keys=True) for path in disk.path.iterdir())
    lines = run(disk, wrapper, "export").splitlines()
    assert payloads == sorted(json.dumps(json.loads(line)["snapshot"], sort_keys=True) for line in lines)


def test_run_on_a_read_only_storage_disk_fails_with_one_line(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, request: pytest.FixtureRequest
) -> None:
    disk = SmallDisk(wrapper.cwd / "storage", 1)
    request.addfinalizer(disk.close)
    disk.make_read_only()
    result = disk.run(wrapper, "snapshot", "--all")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "wrapper: STORAGE_DIR: storage/signal_profile_snapshot.log cannot be written: Read-only file system\n"
    )
