"""Bios are compared with WhiteBalloon's highlights as they are now, without a run."""

import json
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.warehouse.test_lock import LOCK
from tests.wrapper.whiteballoon import WhiteBalloon

HIGHLIGHTS = "select xmin::text, user_id from signal_profiles.signal_profile_highlights order by user_id"
SNAPSHOTS = "select xmin::text, user_id from signal_profiles.signal_profile_snapshots order by user_id, group_slug"


def write_bio(whiteballoon: WhiteBalloon, line: dict[str, Any]) -> None:
    """Store a bio that was written from an exported snapshot."""
    whiteballoon.execute(
        "insert or replace into user_profile_highlights values (?, 'bio', ?, ?, ?, null, 0, 0)",
        line["snapshot"]["user_id"],
        line["snapshot"]["group_slug"],
        line["snapshot_hash"],
        line["snapshot"]["last_seen_at"].replace("T", " "),
    )


def test_bio_that_was_just_written_is_up_to_date_without_a_run(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    before = query(warehouse, SNAPSHOTS)
    stale = wrapper.export("--stale")
    assert len(stale) == 9
    for line in stale[1:]:
        write_bio(awkward, line)
    found = json.loads(wrapper.succeed("freshness", "--json").stdout)
    assert found["counts"] == {"never-glazed": 1, "up-to-date": 8}
    assert wrapper.export("--stale") == stale[:1]
    # Nothing else was published, and what has not changed is not published again.
    assert query(warehouse, SNAPSHOTS) == before
    highlights = query(warehouse, HIGHLIGHTS)
    assert wrapper.succeed("freshness", "--json").stdout == json.dumps(found) + "\n"
    assert query(warehouse, HIGHLIGHTS) == highlights

    write_bio(awkward, stale[0])
    entry = wrapper.snapshot("--all")
    assert (entry["built"], entry["unchanged"]) == (False, 10)
    assert query(warehouse, SNAPSHOTS) == before
    assert len(query(warehouse, HIGHLIGHTS)) == 9
    assert wrapper.export("--stale") == []


def test_bios_that_cannot_be_read_are_shown_from_the_last_run_with_a_warning(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    query(warehouse, f"select pg_advisory_lock({LOCK})")
    locked = "another run holds the lock of schema signal_profiles"
    assert wrapper("freshness").code == wrapper("export", "--stale").code == 75
    shown = wrapper.succeed("show", "1")
    assert shown.stderr.startswith(f"warning: bios are shown as the last run found them: {locked}")
    query(warehouse, f"select pg_advisory_unlock({LOCK})")

    awkward.app_path.rename(awkward.app_path.with_name("moved.db"))
    missing = "DATABASE_URL: data/app.db does not exist"
    for command in (["freshness"], ["export", "--stale"]):
        refused = wrapper(*command)
        assert (refused.code, refused.stdout, refused.stderr) == (2, "", f"wrapper: {missing}\n")
    assert len(wrapper.export()) == 10
    for command in (["show", "1"], ["report", "--output", "page.html"]):
        warned = wrapper.succeed(*command).stderr.splitlines()[0]
        assert warned == f"warning: bios are shown as the last run found them: {missing}"


def test_highlights_selector_publishes_highlights_and_no_snapshots(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    write_bio(awkward, wrapper.export()[0])
    wrapper.succeed("load")
    before = query(warehouse, SNAPSHOTS)
    wrapper.succeed("dbt", "build", "--selector", "highlights")
    assert query(warehouse, SNAPSHOTS) == before
    assert [user_id for _, user_id in query(warehouse, HIGHLIGHTS)] == [1]
