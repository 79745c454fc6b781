"""`wrapper snapshot` is run as operators run it: scope, dry run, removal, files, log and metrics."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import WRAPPER, Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

FIELDS = [
    "timestamp", "run_id", "dry_run", "group_slugs", "user_ids", "output_dir", "version", "status", "built",
    "target_users",
    "attempted", "generated", "skipped", "changed", "unchanged", "removed", "snapshots_digest", "duration_seconds",
    "error",
]  # fmt: skip


def published(warehouse: Connection) -> dict[tuple[int, str], int]:
    rows = query(warehouse, "select user_id, group_slug, message_count from signal_profiles.signal_profile_snapshots")
    return {(user_id, slug): count for user_id, slug, count in rows}


def hashes(warehouse: Connection) -> dict[tuple[int, str], tuple[Any, ...]]:
    rows = query(warehouse, "select * from signal_profiles.signal_profile_snapshot_hashes")
    return {(row[0], row[1]): row[2:] for row in rows}


def counts(entry: dict[str, Any]) -> tuple[int, int, int, int]:
    return entry["generated"], entry["changed"], entry["unchanged"], entry["removed"]


@pytest.fixture
def two_groups(whiteballoon: WhiteBalloon) -> WhiteBalloon:
    """Users 1, 2 and 3 are in groups a and b and wrote one message in each; user 4 is in a and never wrote."""
    whiteballoon.group(1, 2, 3, 4, slug="a", name="A", request_id=1)
    whiteballoon.group(1, 2, 3, slug="b", name="B", request_id=2)
    for user_id in (1, 2, 3):
        for request_id in (1, 2):
            whiteballoon.comment(user_id, "hello", request_id=request_id)
    return whiteballoon


def test_scoped_run_replaces_exactly_the_rows_in_its_scope(
    wrapper: Wrapper, two_groups: WhiteBalloon, warehouse: Connection
) -> None:
    entry = wrapper.snapshot("--all")
    assert counts(entry) == (6, 6, 0, 0)
    assert (entry["target_users"], entry["attempted"], entry["skipped"]) == (4, 7, 1)
    before = hashes(warehouse)

    # Everybody writes in both groups; 2 leaves a, and 4 writes for the first time.
    for user_id in (1, 2, 3, 4):
        for request_id in (1, 2):
            two_groups.comment(user_id, "more", request_id=request_id)
    two_groups.execute("delete from user_attributes where user_id = 2 and key = 'signal_import_group:a'")

    entry = wrapper.snapshot("--user", "1", "--user", "2", "--user", "4", "--group-slug", "a")
    assert counts(entry) == (2, 2, 0, 1)
    assert (entry["target_users"], entry["attempted"], entry["group_slugs"]) == (2, 2, ["a"])
    assert published(warehouse) == {(1, "a"): 2, (3, "a"): 1, (4, "a"): 1, (1, "b"): 1, (2, "b"): 1, (3, "b"): 1}
    after = hashes(warehouse)
    assert after.keys() == published(warehouse).keys()
    moved = {key for key in after if after[key] != before.get(key)}
    assert moved == {(1, "a"), (4, "a")}
    assert {after[key][2] for key in moved} == {entry["run_id"]}

    # If a group has no messages left, the next run whose scope covers it removes its rows.
    two_groups.execute("update request_comments set deleted_at = '2026-01-01 00:00:00' where help_request_id = 2")
    assert counts(wrapper.snapshot("--all", "--group-slug", "b")) == (0, 0, 0, 3)
    # A slug that only published rows have is known too; without memberships, this run removes them.
    two_groups.execute("delete from user_attributes where key = 'signal_import_group:a'")
    assert counts(wrapper.snapshot("--all", "--group-slug", "a")) == (0, 0, 0, 3)
    assert published(warehouse) == {}
    assert hashes(warehouse) == {}


def test_dry_run_reports_changes_and_leaves_the_published_schema_as_it_was(
    wrapper: Wrapper, two_groups: WhiteBalloon, warehouse: Connection, tmp_path: Path
) -> None:
    catalogue = """
        select c.oid, c.relname, c.relfilenode, obj_description(c.oid) from pg_class as c
        where c.relnamespace = (select oid from pg_namespace where nspname = 'signal_profiles') order by 1
    """
    first = wrapper.snapshot("--all", "--dry-run", "--output-dir", "out", PROFILE_SIGNAL_GLAZE="off")
    assert (first["status"], first["dry_run"], counts(first)) == ("success", True, (6, 6, 0, 0))
    assert query(warehouse, catalogue) == []
    assert not (tmp_path / "out").exists()

    wrapper.snapshot("--all")
    before = query(warehouse, catalogue), published(warehouse), hashes(warehouse)
    two_groups.comment(1, "more")
    assert counts(wrapper.snapshot("--all", "--dry-run")) == (6, 1, 5, 0)
    assert (query(warehouse, catalogue), published(warehouse), hashes(warehouse)) == before

    # The dry run's candidates are from another invocation, so they cannot be published.
    result = wrapper("dbt", "run", "--select", "signal_profile_snapshots")
    assert result.code == 1
    assert "Nothing is published in part or untested" in result.stderr
    assert (query(warehouse, catalogue), published(warehouse)) == before[:2]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--empty"], "--empty would publish a scope without rows"),
        (["--sample", "3 days"], "--sample would publish a part as if it were the whole"),
        (["--full-refresh", "--vars", "{user_ids: [1]}"], "--full-refresh with a scope would lose every row outside"),
        (
            ["--vars", "{user_ids: ['1; drop table x']}"],
            "'user_ids' must be null or a list of one or more whole numbers",
        ),
        (["--vars", "{group_slugs: a}"], "'group_slugs' must be null or a list"),
        (["--vars", "{top_links_limit: many}"], "'top_links_limit' must be a whole number from 0 to 1000"),
        (["--vars", "{tracking_parameters: [1]}"], "'tracking_parameters' must be a list of names of query parameters"),
        (["--vars", "{top_link_limit: 3}"], "unknown var 'top_link_limit'"),
        (["--vars", "3"], "--vars is not a mapping"),
        (["--vars", "{"], "--vars is not YAML"),
    ],
)
def test_dbt_build_with_arguments_that_would_publish_wrong_rows_is_refused(
    wrapper: Wrapper, two_groups: WhiteBalloon, warehouse: Connection, arguments: list[str], reason: str
) -> None:
    wrapper.succeed("load")
    result = wrapper("dbt", "build", "--selector", "nightly", *arguments)
    assert result.code in {1, 2}
    assert reason in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert query(warehouse, "select to_regclass('signal_profiles.signal_profile_snapshots')") == [(None,)]


def test_run_log_has_one_line_per_run_and_json_prints_the_same_entry(
    wrapper: Wrapper, two_groups: WhiteBalloon
) -> None:
    log = wrapper.cwd / "storage" / "signal_profile_snapshot.log"
    disabled = wrapper.succeed("snapshot", "--all", "--json", PROFILE_SIGNAL_GLAZE="")
    assert json.loads(disabled.stdout)["status"] == "disabled"
    assert "PROFILE_SIGNAL_GLAZE is off" in disabled.stderr
    # Half a line that a killed run left does not damage the next one.
    with log.open("a") as file:
        file.write('{"timestamp": "20')
    failed = wrapper("snapshot", "--user", "99")
    assert failed.code == 2
    done = wrapper.succeed("snapshot", "--user", "1", "--json")

    lines = log.read_text().splitlines()
    assert lines.pop(1) == '{"timestamp": "20'
    entries = [json.loads(line) for line in lines]
    assert [entry["status"] for entry in entries] == ["disabled", "refused", "success"]
    assert all(list(entry) == FIELDS for entry in entries)
    assert entries[2] == json.loads(done.stdout)
    assert entries[1]["error"] == "--user 99 has neither a membership nor a published snapshot"
    assert entries[1]["generated"] is None
    assert [entry["user_ids"] for entry in entries] == [None, [99], [1]]
    assert log.stat().st_mode & 0o777 == 0o600
    assert done.stderr.startswith("warning: ") is False
    assert "published 2 snapshots of 1 member (2 memberships, 0 without comments)" in done.stderr


def test_run_with_an_empty_scope_succeeds_with_nothing_to_do(wrapper: Wrapper, two_groups: WhiteBalloon) -> None:
    entry = wrapper.snapshot("--user", "4", "--group-slug", "b")
    assert (entry["status"], entry["attempted"], counts(entry)) == ("success", 0, (0, 0, 0, 0))
    two_groups.execute("delete from user_attributes")
    result = wrapper.succeed("snapshot", "--all")
    assert result.stderr.splitlines()[0] == "nothing to do: the scope holds no membership and no published snapshot"
    assert wrapper.log()[-1]["status"] == "success"


def test_output_files_after_each_run_are_those_of_the_published_snapshots(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, tmp_path: Path
) -> None:
    slug = "a/é ~%b"
    name = "1-a%2F%C3%A9%20%7E%25b.json"
    whiteballoon.group(1, 2, slug=slug)
    whiteballoon.comment(1, "hello")
    whiteballoon.comment(2, "hello")
    out = tmp_path / "out"
    wrapper.snapshot("--all", "--output-dir", "out")
    assert sorted(path.name for path in out.iterdir()) == [name, name.replace("1-", "2-", 1)]
    text = (out / name).read_text()
    payload = json.loads(text)
    assert payload["group_slug"] == slug
    assert text == json.dumps(payload, indent=2, ensure_ascii=False) + "\n"

    untouched = (out / name).stat()
    (out / "99-other.txt").write_text("not ours")
    (out / "7-not percent-encoded.json").write_text("not ours")
    (out / f"3{name[1:]}").write_text("left by a run that was killed")
    for odd in ("1-a%00b.json", "9" * 30 + "-a.json", os.fsdecode(b"1-\xff.json")):
        (out / odd).write_text("not ours")
    whiteballoon.execute("delete from request_comments where user_id = 2")
    wrapper.snapshot("--all", "--output-dir", "out")
    assert {path.name for path in out.iterdir() if path.read_text() != "not ours"} == {name}
    assert len(list(out.iterdir())) == 6
    assert (out / name).stat() == untouched


def test_run_without_a_reader_of_its_output_has_its_usual_exit_code_and_status(
    wrapper: Wrapper, two_groups: WhiteBalloon
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    # Without this file, the run has a warning to print.
    (wrapper.cwd / "data" / "comment_llm_insights.db").unlink()
    for arguments, code, status in ((["--all"], 0, "success"), (["--user", "99"], 2, "refused")):
        done = subprocess.run(
            [WRAPPER, "snapshot", "--json", *arguments],
            cwd=wrapper.cwd,
            # PYTHONUNBUFFERED is not set, so that something is left to be written at the end.
            env={"PATH": os.environ["PATH"], **wrapper.environ},
            stdout=write_end,
            stderr=write_end,
            check=False,
        )
        assert done.returncode == code
        assert wrapper.log()[-1]["status"] == status
    os.close(write_end)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_run_with_a_full_disk_under_log_or_output_says_so_in_one_line(
    wrapper: Wrapper, two_groups: WhiteBalloon
) -> None:
    storage = wrapper.cwd / "storage"
    (storage / "signal_profile_snapshot.log").symlink_to("/dev/full")
    result = wrapper("snapshot", "--user", "99")
    assert result.code == 2
    assert result.stderr == (
        "wrapper: STORAGE_DIR: the run ended with 'refused' (--user 99 has neither a membership nor a published "
        "snapshot), but signal_profile_snapshot.log cannot be written: No space left on device\n"
    )
    (storage / "signal_profile_snapshot.log").unlink()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [WRAPPER, "snapshot", "--json", "--all"],
            cwd=wrapper.cwd,
            env={**os.environ, **wrapper.environ, "PROFILE_SIGNAL_GLAZE": "off"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "wrapper: standard output: No space left on device"


def test_metrics_are_sent_by_real_runs_and_not_by_dry_or_refused_ones(
    wrapper: Wrapper, two_groups: WhiteBalloon
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        wrapper.environ |= {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(receiver.getsockname()[1])}
        wrapper.snapshot("--all", "--dry-run")
        assert wrapper("snapshot", "--user", "99").code == 2
        entry = wrapper.snapshot("--all")
        generated, changed, stale, duration = receiver.recv(1000).decode().splitlines()
    assert (generated, changed) == ("signal_glaze.snapshots_generated:6|c", "signal_glaze.snapshots_changed:6|c")
    assert stale == "signal_glaze.highlights_stale_now:0|g"
    assert duration == f"signal_glaze.snapshot_duration:{entry['duration_seconds'] * 1000:.6f}|ms"


def test_run_with_inherited_libpq_and_dbt_variables_ignores_them(wrapper: Wrapper, two_groups: WhiteBalloon) -> None:
    entry = wrapper.snapshot(
        "--all",
        PGHOST="/nonexistent",
        PGPORT="1",
        PGUSER="nobody",
        PGOPTIONS="-c search_path=nowhere",
        PGSERVICE="none",
        DBT_RESOURCE_TYPES="model",
        DBT_TARGET="none",
    )
    assert entry["generated"] == 6
