"""Only one run works at a time, and runs can be ended from outside; processes and signals are real."""

import json
import signal

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.forked import Process
from tests.wrapper.whiteballoon import WhiteBalloon

LOCK = "hashtextextended('signal-profile-snapshots:signal_profiles', 0)"
# dbt replaces this table when it builds the first model; tests create it before the run and lock it.
IN_THE_WAY = """
create schema signal_profiles_intermediate;
create table signal_profiles_intermediate.int_memberships ();
"""
LOCKED = "lock table signal_profiles_intermediate.int_memberships in access exclusive mode"


def wait_for(warehouse: Connection, condition: str) -> None:
    wait_until(lambda: query(warehouse, f"select {condition}") == [(True,)])


@pytest.fixture
def one_member(whiteballoon: WhiteBalloon) -> WhiteBalloon:
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    return whiteballoon


def stuck_in_dbt(wrapper: Wrapper, warehouse: Connection, blocker: Connection) -> Process:
    """Start a run and block it where dbt replaces the memberships."""
    query(warehouse, IN_THE_WAY)
    query(blocker, LOCKED)
    process = wrapper.start("snapshot", "--all", "--json")
    stuck = "count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and query like '%int_memb%'"
    wait_until(lambda: process.poll() is not None or query(warehouse, f"select {stuck}") == [(True,)])
    assert process.poll() is None, process.communicate()
    return process


def test_second_run_while_the_lock_is_held_waits_or_exits_with_75(
    wrapper: Wrapper, one_member: WhiteBalloon, warehouse: Connection
) -> None:
    query(warehouse, f"select pg_advisory_lock({LOCK})")
    for arguments in (
        ["snapshot", "--all"],
        ["snapshot", "--all", "--wait", "1"],
        ["load"],
        ["dbt", "--log-level", "debug", "build"],
    ):
        result = wrapper(*arguments)
        assert (result.code, result.stdout) == (75, "")
        assert result.stderr == (
            "wrapper: another run holds the lock of schema signal_profiles: try again later, or wait for it with "
            "--wait SECONDS\n"
        )
    assert [entry["status"] for entry in wrapper.log()] == ["locked", "locked"]
    assert wrapper("dbt", "ls", "--quiet").code == 0

    waiting = wrapper.start("snapshot", "--all", "--wait", "60", "--json")
    wait_for(warehouse, "count(*) > 0 from pg_stat_activity where application_name = 'signal-profile-snapshots'")
    query(warehouse, f"select pg_advisory_unlock({LOCK})")
    stdout, stderr = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, stderr
    assert json.loads(stdout)["generated"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_interrupted_in_dbt_says_so_and_publishes_nothing(
    wrapper: Wrapper, one_member: WhiteBalloon, warehouse: Connection, blocker: Connection, number: signal.Signals
) -> None:
    process = stuck_in_dbt(wrapper, warehouse, blocker)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "wrapper: interrupted\n")
    entry = json.loads(stdout)
    assert (entry["status"], entry["error"], entry["attempted"]) == ("interrupted", "interrupted", None)
    assert wrapper.log() == [entry]
    blocker.rollback()
    assert query(warehouse, "select to_regclass('signal_profiles.signal_profile_snapshots')") == [(None,)]
    assert wrapper.snapshot("--all")["changed"] == 1


@pytest.mark.parametrize("what", ["table", "file"])
def test_interrupt_during_a_wait_outside_of_dbt_ends_the_run(
    wrapper: Wrapper, one_member: WhiteBalloon, warehouse: Connection, blocker: Connection, what: str
) -> None:
    """The run waits in C code, of libpq or of SQLite, where Python's signal handlers do not run."""
    if what == "table":
        query(warehouse, "create schema signal_profiles_source")
        query(warehouse, "create table signal_profiles_source.user_attributes ()")
        query(blocker, "lock table signal_profiles_source.user_attributes in access exclusive mode")
    else:
        one_member.execute("begin exclusive")
    process = wrapper.start("snapshot", "--all")
    waits = {"table": "wait_event_type = 'Lock'", "file": "application_name = 'signal-profile-snapshots'"}[what]
    wait_for(warehouse, f"count(*) > 0 from pg_stat_activity where {waits}")
    process.send_signal(signal.SIGTERM)
    # The run does not wait for the lock_timeout of 60 seconds, nor as long for the file.
    assert process.communicate(timeout=20)[1] == "wrapper: interrupted\n"
    assert process.returncode == 130
    assert [entry["status"] for entry in wrapper.log()] == ["interrupted"]


def test_killed_run_leaves_no_lock_and_no_statement_behind(
    wrapper: Wrapper, one_member: WhiteBalloon, warehouse: Connection, blocker: Connection
) -> None:
    process = stuck_in_dbt(wrapper, warehouse, blocker)
    process.kill()
    process.communicate()
    # The blocked statement ends by itself, although what it waits for is still locked.
    wait_for(warehouse, "count(*) = 0 from pg_stat_activity where wait_event_type = 'Lock'")
    blocker.rollback()
    assert wrapper.snapshot("--all")["changed"] == 1


def test_run_that_lost_its_lock_fails(
    wrapper: Wrapper, one_member: WhiteBalloon, warehouse: Connection, blocker: Connection
) -> None:
    process = stuck_in_dbt(wrapper, warehouse, blocker)
    query(
        warehouse,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'signal-profile-snapshots'",
    )
    blocker.rollback()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the lock was lost while dbt worked" in stderr
    assert wrapper.log() == [json.loads(stdout)]
    assert wrapper.log()[0]["status"] == "failed"
    assert query(warehouse, "select count(*) from signal_profiles.signal_profile_snapshot_hashes") == [(0,)]
