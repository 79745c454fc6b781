"""Bios are compared with WhiteBalloon's highlights as they are now, without a run."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.warehouse.test_lock import LOCK
from tests.wrapper.whiteballoon import WhiteBalloon

TABLE = "signal_profiles.signal_profile_highlights"
WAITING = f"select count(*) from pg_locks where not granted and relation = '{TABLE}'::regclass"
HIGHLIGHTS = "select xmin::text, user_id from signal_profiles.signal_profile_highlights order by user_id"
FRESHNESS = "signal_profiles.signal_profile_highlight_freshness"
ROWS = "select to_jsonb(h) from signal_profiles.signal_profile_highlights as h order by user_id"
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


def test_highlights_that_changed_are_published_without_starting_dbt(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, without_dbt: dict[str, str]
) -> None:
    stale = wrapper.export("--stale")
    for line in stale[1:]:
        write_bio(awkward, line)
    awkward.execute("update user_profile_highlights set source_group = ' ', is_stale = 1 where user_id = 3")
    found = json.loads(wrapper.succeed("freshness", "--json", **without_dbt).stdout)
    assert found["counts"] == {"marked-stale": 1, "never-glazed": 1, "up-to-date": 7}

    write_bio(awkward, stale[0])
    entry = json.loads(wrapper.succeed("snapshot", "--json", "--all", **without_dbt).stdout)
    assert (entry["built"], entry["unchanged"]) == (False, 10)
    rows = query(warehouse, ROWS)
    assert len(rows) == 9
    wrapper.succeed("dbt", "build", "--selector", "highlights")
    assert query(warehouse, ROWS) == rows


def test_highlights_that_fail_a_compiled_data_test_are_left_to_dbt(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, without_dbt: dict[str, str]
) -> None:
    data_test = "select user_id from signal_profiles_intermediate.int_highlights where snapshot_hash is null"
    query(
        warehouse,
        "update signal_profiles_intermediate.compiled_highlights "
        f"set statements = statements[:1] || '{data_test}'::text || statements[2:]",
    )
    stale = wrapper.export("--stale")
    write_bio(awkward, stale[0])
    wrapper.succeed("freshness", **without_dbt)
    candidates = "select xmin::text, user_id from signal_profiles_intermediate.int_highlights"
    before = [query(warehouse, rows) for rows in (candidates, HIGHLIGHTS)]
    assert len(before[1]) == 1
    write_bio(awkward, {**stale[1], "snapshot_hash": None})
    assert "dbt was imported" in wrapper("freshness", **without_dbt).stderr
    assert [query(warehouse, rows) for rows in (candidates, HIGHLIGHTS)] == before


def test_statements_in_a_table_of_another_owner_are_left_alone(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, without_dbt: dict[str, str]
) -> None:
    query(warehouse, "alter table signal_profiles_intermediate.compiled_highlights owner to pg_monitor")
    write_bio(awkward, wrapper.export("--stale")[0])
    assert "dbt was imported" in wrapper("freshness", **without_dbt).stderr


def test_two_highlights_of_one_member_in_sqlite_are_an_error_that_names_the_table(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    line = wrapper.export("--stale")[0]
    write_bio(awkward, line)
    awkward.execute("alter table user_profile_highlights rename to keyed")
    awkward.execute("create table user_profile_highlights as select * from keyed union all select * from keyed")
    refused = wrapper("freshness")
    message = "DATABASE_URL: data/app.db: table user_profile_highlights has two rows with one user_id"
    assert (refused.code, refused.stdout, refused.stderr) == (2, "", f"wrapper: {message}\n")


@pytest.mark.parametrize(
    "edit",
    [
        f"drop view {FRESHNESS}",
        f"create or replace view {FRESHNESS} as select user_id, group_slug, true as is_fresh, 'x'::text as reason, "
        "snapshot_hash, snapshot_last_seen_at as last_seen_at from signal_profiles.signal_profile_highlights",
        "drop table signal_profiles_intermediate.int_highlights",
        "drop schema signal_profiles_intermediate cascade",
    ],
)
def test_highlights_that_changed_are_published_after_an_edit_by_hand(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, edit: str
) -> None:
    definition = f"select pg_get_viewdef('{FRESHNESS}'::regclass)"
    before = query(warehouse, definition)
    for line in wrapper.export("--stale"):
        write_bio(awkward, line)
    query(warehouse, edit)
    assert json.loads(wrapper.succeed("freshness", "--json").stdout)["counts"] == {"up-to-date": 9}
    assert query(warehouse, definition) == before


def test_role_that_the_settings_name_now_may_read_highlights_published_next(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    (wrapper.cwd / "vars.yml").write_text("bio_roles: [pg_monitor]")
    write_bio(awkward, wrapper.export("--stale")[0])
    wrapper.succeed("freshness", SNAPSHOT_VARS="vars.yml")
    may_read = f"select has_table_privilege('pg_monitor', '{FRESHNESS}', 'select')"
    assert query(warehouse, may_read) == [(True,)]


@pytest.fixture
def in_place(wrapper: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]) -> Iterator[Connection]:
    """A connection to a WhiteBalloon on Postgres, published but for the bio of its member, which the wrapper reads."""
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    wrapper.read_in_place(whiteballoon, make_database())
    postgres = psycopg2.connect(wrapper.environ["DATABASE_URL"])
    postgres.autocommit = True
    query(
        postgres,
        "create table wb.user_profile_highlights (user_id integer, source_group varchar, snapshot_hash varchar, "
        "snapshot_last_seen_at timestamp, stale_after timestamp, is_stale boolean, manual_override boolean)",
    )
    wrapper.snapshot("--all")
    query(postgres, "insert into wb.user_profile_highlights (user_id) values (1)")
    yield postgres
    postgres.close()


def test_two_highlights_of_one_member_fail_a_data_test_and_are_not_published(
    wrapper: Wrapper, in_place: Connection
) -> None:
    wrapper.succeed("freshness")
    before = query(in_place, HIGHLIGHTS)
    assert len(before) == 1
    query(in_place, "insert into wb.user_profile_highlights (user_id) values (1)")
    refused = wrapper("freshness")
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("wrapper: data test grain_int_highlights_")
    assert query(in_place, HIGHLIGHTS) == before


def test_migration_of_whiteballoon_does_not_wait_for_highlights_that_wait_to_be_published(
    wrapper: Wrapper, in_place: Connection
) -> None:
    with contextlib.closing(psycopg2.connect(wrapper.environ["DATABASE_URL"])) as analyst:
        query(analyst, f"lock table {TABLE} in share mode")
        refreshing = wrapper.start("freshness")
        wait_until(lambda: query(in_place, WAITING) == [(1,)])
        query(in_place, "set lock_timeout = '1s'; alter table wb.user_profile_highlights add column more integer")
    refreshing.communicate()
    assert refreshing.wait() == 0
    assert len(query(in_place, HIGHLIGHTS)) == 1


def test_highlights_that_cannot_be_published_are_shown_from_the_last_run_with_a_warning(
    wrapper: Wrapper, awkward: WhiteBalloon, blocker: Connection
) -> None:
    write_bio(awkward, wrapper.export("--stale")[0])
    query(blocker, f"lock table {TABLE} in share mode")
    impatient = {"WAREHOUSE_URL": wrapper.environ["WAREHOUSE_URL"] + "&options=-c%20lock_timeout%3D500"}
    reason = "publishing the highlights failed: canceling statement due to lock timeout"
    for command in (["show", "1"], ["report", "--output", "page.html"]):
        shown = wrapper.succeed(*command, **impatient)
        assert shown.stderr.startswith(f"warning: bios are shown as the last run found them: {reason}")
    refused = wrapper("freshness", **impatient)
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"wrapper: {reason}")


def test_killed_refresh_leaves_the_highlights_as_they_were(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, blocker: Connection
) -> None:
    for line in wrapper.export("--stale"):
        write_bio(awkward, line)
    query(blocker, f"lock table {TABLE} in share mode")
    refreshing = wrapper.start("freshness")
    wait_until(lambda: query(warehouse, WAITING) == [(1,)])
    refreshing.kill()
    blocker.rollback()
    wait_until(lambda: query(warehouse, WAITING) == [(0,)])
    assert query(warehouse, HIGHLIGHTS) == []
    assert wrapper.export("--stale") == []
