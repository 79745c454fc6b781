"""Open transactions on a table that a run needs, and a server that limits the time of statements."""

from functools import partial

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

LOCKED_OUT = "canceling statement due to lock timeout"
TIMED_OUT = "canceling statement due to statement timeout"
full = partial(pytest.param, marks=pytest.mark.full)


@pytest.mark.parametrize(
    ("table", "code", "begins", "reason"),
    [
        full("_source.user_attributes", 1, "the warehouse failed during the load: ", LOCKED_OUT),
        ("_source.user_attributes", 1, "the warehouse failed during the load: ", TIMED_OUT),
        ("_intermediate.int_snapshot_candidates", 1, "Database Error in model int_snapshot_candidates", LOCKED_OUT),
        full(".signal_profile_snapshots", 1, "Database Error in model signal_profile_snapshots", TIMED_OUT),
        full(".signal_profile_snapshot_hashes", 1, "the snapshots are published, but Database Error in", LOCKED_OUT),
    ],
)
def test_run_when_a_table_stays_locked_fails_and_keeps_the_rows(
    wrapper: Wrapper,
    awkward: WhiteBalloon,
    warehouse: Connection,
    blocker: Connection,
    table: str,
    code: int,
    begins: str,
    reason: str,
) -> None:
    rows = "select * from signal_profiles.signal_profile_snapshots order by user_id, group_slug"
    before = query(warehouse, rows)
    query(blocker, f"lock table signal_profiles{table} in share row exclusive mode")
    setting = "lock_timeout" if reason == LOCKED_OUT else "statement_timeout"
    limited = f"{wrapper.environ['WAREHOUSE_URL']}&options=-c%20{setting}%3D2000"
    result = wrapper("snapshot", "--all", "--rebuild", WAREHOUSE_URL=limited)
    line = result.stderr.splitlines()[-1]
    assert (result.code, line.startswith(f"wrapper: {begins}"), reason in line) == (code, True, True), line
    entry = wrapper.log()[-1]
    assert (entry["status"], f"wrapper: {entry['error']}") == ("failed", line)
    assert query(warehouse, rows) == before
    blocker.rollback()
    assert wrapper.snapshot("--all")["unchanged"] == 10


def test_run_beside_readers_in_open_transactions_does_not_wait_for_them(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, blocker: Connection
) -> None:
    """An analyst has an open transaction on every published table and view."""
    names = query(
        warehouse,
        "select relname from pg_class where relnamespace = 'signal_profiles'::regnamespace and relkind in ('r', 'v')",
    )
    assert len(names) == 14
    for (name,) in names:
        query(blocker, f"table signal_profiles.{name}")
    awkward.comment(1, "one more")
    limited = f"{wrapper.environ['WAREHOUSE_URL']}&options=-c%20lock_timeout%3D2000"
    assert wrapper.snapshot("--all", WAREHOUSE_URL=limited)["changed"] == 2
