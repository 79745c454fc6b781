"""Another version of the published contract is refused, and an upgrade first lists what it would drop."""

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import project_vars

VERSION = project_vars()["contract_version"]
SNAPSHOTS = "signal_profiles.signal_profile_snapshots"
CONTRACT = "signal_profiles.signal_profile_contract"


def test_published_columns_have_their_descriptions_as_comments(warehouse: Connection, awkward: WhiteBalloon) -> None:
    found = query(
        warehouse,
        "select attname, col_description(attrelid, attnum) from pg_attribute join pg_class on attrelid = pg_class.oid "
        "where relnamespace = 'signal_profiles'::regnamespace and relkind in ('r', 'v') and attnum > 0",
    )
    assert len(found) > 60
    assert [column for column, comment in found if not comment] == []
    assert ("user_id", "The member: `users.id` in WhiteBalloon.") in found


def test_contract_version_that_differs_is_refused_until_the_upgrade(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    comments = query(
        warehouse,
        "select obj_description(oid, 'pg_class') from pg_class "
        "where relnamespace = 'signal_profiles'::regnamespace and relkind in ('r', 'v')",
    )
    assert len(comments) == 14
    assert all(str(comment).endswith(f"Contract version {VERSION}.") for (comment,) in comments)
    assert wrapper.succeed("upgrade").stderr == "nothing to upgrade\n"
    moved = query(warehouse, "select changed_at from signal_profiles.signal_profile_snapshot_hashes order by 1")

    query(warehouse, "create schema analysts")
    query(warehouse, "create view analysts.active as select * from signal_profiles.signal_profile_links")
    query(warehouse, 'create view analysts."of the active" as select * from analysts.active')
    query(warehouse, "create view analysts.unconcerned as select * from signal_profiles.signal_profile_snapshot_hashes")
    # While the table of the version exists, a version in a comment does not count.
    query(warehouse, f"comment on table {SNAPSHOTS} is 'Old. Contract version 70.'")
    assert wrapper.succeed("upgrade").stderr == "nothing to upgrade\n"
    query(warehouse, f"update {CONTRACT} set contract_version = 70")
    refused = wrapper("snapshot", "--all")
    assert refused.code == 2
    assert refused.stderr == (
        f"wrapper: schema signal_profiles holds version 70 of the published contract, and this is version {VERSION}: "
        "run `wrapper upgrade` to see what would be replaced\n"
    )
    by_hand = wrapper("dbt", "build", "--selector", "nightly")
    assert by_hand.code == 1
    assert "Schema signal_profiles holds version 70 of the published contract" in by_hand.stdout + by_hand.stderr
    assert query(warehouse, f"table {CONTRACT}") == [(70,)]
    assert wrapper.log()[-1]["status"] == "failed"
    # A dry run shows beforehand what would change.
    assert wrapper.snapshot("--all", "--dry-run")["changed"] == 0

    named = wrapper.succeed("upgrade").stderr.splitlines()
    assert named[0].startswith(
        "to be dropped, of version 70 of the contract: signal_profiles.signal_profile_attachments, "
    )
    assert "signal_profiles.signal_profile_months" in named[0].split(", ")
    assert named[1:] == [
        'other people\'s views that would be dropped too; save them first: analysts."of the active", analysts.active',
        "nothing was dropped: wrapper upgrade --yes does it",
    ]
    assert len(query(warehouse, f"table {SNAPSHOTS}")) == 10
    wrapper.succeed("upgrade", "--yes")
    assert query(warehouse, f"select to_regclass('{SNAPSHOTS}'), to_regclass('analysts.active')") == [(None, None)]
    assert len(query(warehouse, "table analysts.unconcerned")) == 10
    # A run of one member leaves the hashes of all others as they are, although their snapshots are still missing.
    assert wrapper.snapshot("--user", "1")["unchanged"] == 2
    assert wrapper.snapshot("--all")["unchanged"] == 10
    assert query(warehouse, f"table {CONTRACT}") == [(VERSION,)]
    assert query(warehouse, "select changed_at from signal_profiles.signal_profile_snapshot_hashes order by 1") == moved


def test_contract_version_without_its_table_is_read_from_the_comment(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    """Installations from before the table have none; version 1 is the only one that was published without it."""
    query(warehouse, f"drop table {CONTRACT}")
    query(warehouse, f"comment on table {SNAPSHOTS} is 'Old. Contract version 70.'")
    assert wrapper("snapshot", "--all").stderr.startswith("wrapper: schema signal_profiles holds version 70 of")
    query(warehouse, f"comment on table {SNAPSHOTS} is 'Edited by hand'")
    assert VERSION == 1
    assert wrapper.succeed("upgrade").stderr == "nothing to upgrade\n"
    assert wrapper.snapshot("--all")["unchanged"] == 10
    assert query(warehouse, f"table {CONTRACT}") == [(VERSION,)]


def test_published_columns_that_differ_under_one_contract_version_are_refused(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    """This simulates a column that was added to the model and its contract without raising the version."""
    query(warehouse, f"alter table {SNAPSHOTS} rename column request_ids to requests")
    refused = wrapper("snapshot", "--all")
    assert (refused.code, refused.stderr) == (
        1,
        "wrapper: Compilation Error in model signal_profile_snapshots "
        "(models/marts/snapshots/signal_profile_snapshots.sql) The columns published are others: "
        "raise contract_version in dbt_project.yml, then wrapper upgrade --yes; "
        "the published snapshots are as they were\n",
    )
    assert len(query(warehouse, f"select requests from {SNAPSHOTS}")) == 10


def test_upgrade_when_nothing_is_published_has_nothing_to_do(wrapper: Wrapper) -> None:
    assert wrapper.succeed("upgrade").stderr == "nothing to upgrade\n"
