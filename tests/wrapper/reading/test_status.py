"""What `wrapper status` says about the run log."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wrapper.conftest import Wrapper


def entry(hours_ago: float, status: str = "success", **fields: object) -> str:
    """A line of the run log."""
    values: dict[str, object] = {
        "timestamp": (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat(), "run_id": "1", "status": status,
        "dry_run": False, "group_slugs": None, "user_ids": None, "target_users": 1, "attempted": 1,
        "generated": 7, "skipped": 0, "changed": 1, "unchanged": 0, "removed": 0, "snapshots_digest": "0",
        "duration_seconds": 1.5, "output_dir": None, "error": None, "version": "0.1.0",
    }  # fmt: skip
    return json.dumps({**values, **fields}) + "\n"


def write_log(wrapper: Wrapper, text: str, name: str = "signal_profile_snapshot.log") -> None:
    folder = wrapper.cwd / "storage"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_status_shows_runs_and_skips_lines_of_other_programs(wrapper: Wrapper) -> None:
    others = 'INFO something else\n{"status": "success"}\n{"timestamp": 7\n\n[1]\nnull\n' + "[" * 100_000 + "\n"
    failed = entry(30, "failed", error="data test x failed\x1b[31m", generated=None, group_slugs=["a", "b"])
    write_log(wrapper, others + failed + entry(20) + entry(3, dry_run=True) + '{"timestamp": "20')
    shown = wrapper("status")
    assert shown.code == 0, shown.stderr
    table, failure = shown.stdout.splitlines()[:4], shown.stdout.splitlines()[4]
    assert table[0].split() == ["UTC", "status", "snapshots", "changed", "removed", "seconds", "scope"]
    assert table[1].split()[2:] == ["failed", "1", "0", "1.5", "a,", "b"]
    assert table[2].split()[2:] == ["success", "7", "1", "0", "1.5", "all"]
    assert table[3].split()[2:] == ["success", "(dry)", "7", "1", "0", "1.5", "all"]
    assert failure.startswith("last failure, ")
    assert failure.rstrip().endswith(": data test x failed\N{REPLACEMENT CHARACTER}[31m")

    found = json.loads(wrapper.succeed("status", "--json", "--last", "1").stdout)
    assert [run["dry_run"] for run in found["runs"]] == [True]
    assert (found["overdue"], found["last_failure"]["error"]) == (False, "data test x failed\x1b[31m")
    assert found["last_success"]["dry_run"] is False


def test_status_after_runs_that_did_not_fail_shows_the_last_failure_of_a_real_run(wrapper: Wrapper) -> None:
    others = [entry(hours, status) for hours, status in ((4, "locked"), (3, "interrupted"), (2, "refused"))]
    write_log(wrapper, entry(5, "failed", error="x") + "".join(others) + entry(1, "failed", error="y", dry_run=True))
    assert json.loads(wrapper("status", "--json").stdout)["last_failure"]["error"] == "x"
    assert re.search(r"^last failure, .{16}: x$", wrapper("status").stdout, re.MULTILINE)


def test_status_judges_lateness_by_runs_of_all_members(wrapper: Wrapper) -> None:
    """An hourly timer of one group, or a run of one member, must not hide that the nightly run is dead."""
    partial = entry(1, group_slugs=["a"]) + entry(1, user_ids=[7])
    write_log(wrapper, entry(40) + partial)
    result = wrapper("status")
    assert result.code == 3
    assert "warning: no run of all members has published for 36 hours (last at " in result.stdout
    write_log(wrapper, entry(35) + partial)
    assert wrapper("status").code == 0


def test_status_of_groups_judges_lateness_by_runs_that_covered_each_of_them(wrapper: Wrapper) -> None:
    write_log(wrapper, entry(40) + entry(30, group_slugs=["a", "b"]) + entry(1, user_ids=[7], group_slugs=["c"]))
    assert wrapper("status", "--group-slug", "a").code == 0
    assert wrapper("status", "--group-slug", "a", "--group-slug", "b").code == 0
    result = wrapper("status", "--group-slug", "a", "--group-slug", "c")
    assert result.code == 3
    assert "warning: no run of group c has published for 36 hours (last at " in result.stdout
    write_log(wrapper, entry(1))
    assert wrapper("status", "--group-slug", "c").code == 0


def test_failure_stays_open_until_a_run_has_published_its_scope(wrapper: Wrapper) -> None:
    failed = entry(2, "failed", error="x", group_slugs=["a"])
    covering = [entry(1, group_slugs=["a", "b"]), entry(1)]
    others = [
        entry(1, "locked"), entry(1, group_slugs=["b"]), entry(1, user_ids=[7], group_slugs=["a"]),
        entry(1, dry_run=True),
    ]  # fmt: skip
    for after, is_open in [*((run, False) for run in covering), *((run, True) for run in others)]:
        write_log(wrapper, entry(3) + failed + after)
        found = json.loads(wrapper.succeed("status", "--json").stdout)
        assert (found["open_failure"] is not None) == is_open, after


def test_status_shows_the_members_of_a_run(wrapper: Wrapper) -> None:
    write_log(wrapper, entry(3) + entry(2, user_ids=[7, 12], group_slugs=["a"]) + entry(1, user_ids=[9]))
    rows = [line.split() for line in wrapper.succeed("status").stdout.splitlines()]
    assert rows[0] == ["UTC", "status", "snapshots", "changed", "removed", "seconds", "scope"]
    assert [" ".join(row[7:]) for row in rows[1:4]] == ["all", "users 7, 12 in a", "users 9"]


def test_status_reads_log_lines_of_an_older_version(wrapper: Wrapper) -> None:
    fields = json.loads(entry(1))
    del fields["user_ids"]
    write_log(wrapper, json.dumps(fields) + "\n")
    assert json.loads(wrapper.succeed("status", "--json").stdout)["runs"][0]["user_ids"] is None


def test_log_timestamp_without_a_zone_counts_as_utc(wrapper: Wrapper) -> None:
    write_log(wrapper, entry(35).replace("+00:00", ""))
    assert wrapper("status").code == 0


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (entry(37), "last at "),
        (entry(1, "failed", error="x"), "none in {cwd}/storage/signal_profile_snapshot.log)"),
        (entry(1, "disabled"), "none in {cwd}/storage/signal_profile_snapshot.log)"),
        (entry(1, dry_run=True), "none in {cwd}/storage/signal_profile_snapshot.log)"),
    ],
)
def test_status_without_a_success_in_36_hours_exits_with_3(wrapper: Wrapper, text: str, last: str) -> None:
    write_log(wrapper, text)
    result = wrapper("status")
    assert result.code == 3
    assert f"warning: no run of all members has published for 36 hours ({last.format(cwd=wrapper.cwd)}" in result.stdout
    assert json.loads(wrapper("status", "--json").stdout)["overdue"] is True


def test_status_without_a_run_says_how_to_start(wrapper: Wrapper) -> None:
    result = wrapper("status")
    assert (result.code, result.stdout.splitlines()) == (
        3,
        [
            f"no run is logged in {wrapper.cwd}/storage/signal_profile_snapshot.log yet",
            "check the settings with wrapper doctor, then start the first run with wrapper snapshot --all",
        ],
    )
    assert json.loads(wrapper("status", "--json").stdout)["overdue"] is True


def test_status_after_logrotate_also_reads_the_rotated_log(wrapper: Wrapper) -> None:
    write_log(wrapper, entry(5), "signal_profile_snapshot.log.1")
    assert wrapper("status").code == 0
    write_log(wrapper, entry(1, "failed", error="x"))
    assert [run["status"] for run in json.loads(wrapper("status", "--json").stdout)["runs"]] == ["success", "failed"]


def test_status_beside_malformed_lines_shows_the_last_ten_runs(wrapper: Wrapper) -> None:
    lines = [entry(20 - hours, generated=hours, duration_seconds=None) for hours in range(12)]
    wrong: list[dict[str, Any]] = [
        {"timestamp": "yesterday"},
        {"group_slugs": [1]},
        {"user_ids": ["1"]},
        {"duration_seconds": "x"},
        {"error": [1]},
        {"status": 5},
    ]
    others = "".join(json.dumps({**json.loads(entry(1)), **fields}) + "\n" for fields in wrong)
    write_log(wrapper, others + "".join(lines))
    with (wrapper.cwd / "storage" / "signal_profile_snapshot.log").open("ab") as file:
        file.write(b"\xff\xfe of another program\n")
    shown = wrapper.succeed("status").stdout.splitlines()
    assert [line.split()[3] for line in shown[1:]] == [str(hours) for hours in range(2, 12)]
    assert "\x1b" not in wrapper.succeed("status", FORCE_COLOR="1").stdout
    assert json.loads(wrapper.succeed("status", "--json", "--last", "20").stdout)["runs"][0]["generated"] == 0


def test_status_when_the_log_cannot_be_read_fails_with_one_line(wrapper: Wrapper) -> None:
    write_log(wrapper, "")
    (wrapper.cwd / "storage" / "signal_profile_snapshot.log").unlink()
    (wrapper.cwd / "storage" / "signal_profile_snapshot.log").mkdir()
    result = wrapper("status")
    assert (result.code, result.stdout) == (2, "")
    path = "storage/signal_profile_snapshot.log"
    assert result.stderr == f"wrapper: STORAGE_DIR: {path} cannot be read: Is a directory\n"
