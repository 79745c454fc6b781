"""If a run ends badly after its rows were published, its message says that they are."""

import signal

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.whiteballoon import WhiteBalloon

HASHES = "signal_profiles.signal_profile_snapshot_hashes"
# It fires only when hashes are stored, because dbt inserts no rows there.
TRIGGER = """
create function signal_profiles.strike() returns trigger language plpgsql as $$ begin {} ; return new; end $$;
create trigger strike before insert on {} for each row execute function signal_profiles.strike();
"""
INTERRUPTED = "the snapshots are published, but the run was interrupted: run again to complete it"


@pytest.fixture
def changed(wrapper: Wrapper, awkward: WhiteBalloon) -> Wrapper:
    """The wrapper over a published WhiteBalloon that has a new comment since."""
    awkward.comment(3, "hello")
    return wrapper


@pytest.mark.parametrize("where", ["dbt", "hashes"])
def test_interrupt_after_publishing_says_that_the_snapshots_are_published(
    changed: Wrapper, warehouse: Connection, blocker: Connection, where: str
) -> None:
    before = changed.export("--user", "3")[0]["snapshot"]["message_count"]
    if where == "dbt":
        query(blocker, f"lock table {HASHES} in share mode")
    else:
        query(warehouse, TRIGGER.format("perform pg_advisory_xact_lock(7)", HASHES))
        query(blocker, "select pg_advisory_xact_lock(7)")
    process = changed.start("snapshot", "--all")
    stuck = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'"
    wait_until(lambda: query(warehouse, stuck) == [(True,)])
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == f"wrapper: {INTERRUPTED}\n"
    assert process.returncode == 130
    assert (changed.log()[-1]["status"], changed.log()[-1]["error"]) == ("interrupted", INTERRUPTED)
    blocker.rollback()
    assert changed.export("--user", "3")[0]["snapshot"]["message_count"] == before + 1


@pytest.mark.parametrize(
    ("strike", "reason"),
    [
        ("raise exception 'struck'", "their hashes could not be stored, run again: struck"),
        # A run reads this view next.
        ("drop view if exists signal_profiles.signal_profile_highlight_freshness", "the warehouse failed: relation "),
    ],
)
def test_failure_after_publishing_says_that_the_snapshots_are_published(
    changed: Wrapper, warehouse: Connection, strike: str, reason: str
) -> None:
    query(warehouse, TRIGGER.format(strike, HASHES))
    result = changed("snapshot", "--all")
    assert result.code == 1
    assert result.stderr.startswith(f"wrapper: the snapshots are published, but {reason}")
    assert changed.log()[-1]["status"] == "failed"
    assert changed.log()[-1]["error"] == result.stderr.removeprefix("wrapper: ").strip()
