"""The same promises hold on a Citus cluster.

CITUS_URL names its coordinator, a superuser, and a database that nothing else uses. The tests share the cluster and
crash its workers, so they run one after another: pytest -m citus -n0
"""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from examples.make_whiteballoon import main as make_example
from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.faults.test_kills import History, random_moment, send
from tests.wrapper.faults.test_views_and_migrations import DAMAGE, REPAIR
from tests.wrapper.nightly.test_highlights import write_bio
from tests.wrapper.rules.test_rows import awkward_whiteballoon, exported
from tests.wrapper.warehouse.test_lock import LOCK
from tests.wrapper.warehouse.test_versions import digest_of
from tests.wrapper.whiteballoon import WhiteBalloon

URL = os.environ.get("CITUS_URL", "")
pytestmark = [
    pytest.mark.citus,
    pytest.mark.skipif(not URL, reason="CITUS_URL does not name the coordinator of a Citus cluster"),
    pytest.mark.skipif(
        "PYTEST_XDIST_WORKER" in os.environ, reason="tests of Citus share one cluster: run them with -m citus -n0"
    ),
]

COPIES = {("request_comments", "id"), ("comment_llm_analyses", "comment_id")}
MODELS = {"int_messages", "int_link_stats", "int_tag_stats", "int_month_stats", "int_reactions", "int_attachments"}
SCHEMAS = ("signal_profiles", "signal_profiles_source", "signal_profiles_intermediate", "wb")
ROWS = "select * from signal_profiles.signal_profile_snapshots order by user_id, group_slug"
# The tests connect as a superuser, so a session can kill the server process that serves it. The server treats that
# as a crash.
CRASH = "copy (select 1) to program 'kill -9 $PPID'"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One STORAGE_DIR for all tests, since dbt keeps its parse there; its vars.yml switches distribution on."""
    folder = tmp_path_factory.mktemp("storage")
    (folder / "vars.yml").write_text("distributed: true\n")
    return folder


@pytest.fixture
def coordinator() -> Iterator[Connection]:
    """A new session for each test: an older one may have connections to a worker that has crashed since."""
    connection = psycopg2.connect(URL)
    connection.autocommit = True
    yield connection
    connection.close()


def cluster(folder: Path, storage: Path) -> Wrapper:
    """Return the wrapper, switched on, with the cluster as its empty warehouse."""
    with contextlib.closing(psycopg2.connect(URL)) as fresh:
        fresh.autocommit = True
        query(fresh, f"drop schema if exists {', '.join(SCHEMAS)} cascade")
    environ = {
        "WAREHOUSE_URL": URL, "PROFILE_SIGNAL_GLAZE": "on", "SNAPSHOT_VARS": str(storage / "vars.yml"),
        "STORAGE_DIR": str(storage),
    }  # fmt: skip
    return Wrapper(folder, environ)


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory, storage: Path) -> Wrapper:
    """The example WhiteBalloon, published on the cluster; for tests that only read, which come first in this file."""
    folder = tmp_path_factory.mktemp("distributed")
    make_example(folder / "data")
    wrapper = cluster(folder, storage)
    wrapper.snapshot("--all")
    return wrapper


@pytest.fixture
def wrapper(tmp_path: Path, storage: Path) -> Wrapper:
    return cluster(tmp_path, storage)


@pytest.fixture
def published(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> list[dict[str, Any]]:
    """The payloads of the awkward WhiteBalloon, which is published on the cluster."""
    expected = awkward_whiteballoon(whiteballoon)
    wrapper.snapshot("--all")
    return expected


def last_entry(wrapper: Wrapper) -> dict[str, Any]:
    lines = Path(wrapper.environ.get("STORAGE_DIR", wrapper.cwd / "storage"), "signal_profile_snapshot.log").read_text()
    entry: dict[str, Any] = json.loads(lines.splitlines()[-1])
    return entry


def on_workers(coordinator: Connection, statement: str) -> list[str]:
    """Run a statement that gives one value on each worker."""
    found = query(coordinator, f"select success, result from run_command_on_workers($run$ {statement} $run$)")
    assert all(success for success, _ in found), found
    return [result for _, result in found]


def plan(coordinator: Connection, statement: str) -> str:
    return "\n".join(line for (line,) in query(coordinator, f"explain (verbose, costs off) {statement}"))


@pytest.fixture(scope="module")
def compiled(distributed: Wrapper) -> dict[str, str]:
    """The SQL of the models and data tests, as dbt sends it to the cluster."""
    distributed.succeed("dbt", "compile")
    return {
        path.stem: path.read_text()
        for path in Path(distributed.environ["STORAGE_DIR"]).glob("dbt/*/dbt/compiled/signal_profiles/**/*.sql")
    }


def test_example_on_citus_has_the_same_digest_as_on_plain_postgres(example: Wrapper, distributed: Wrapper) -> None:
    assert last_entry(distributed)["generated"] > 80
    assert last_entry(distributed)["snapshots_digest"] == last_entry(example)["snapshots_digest"]


def test_large_tables_alone_are_spread_over_the_workers(distributed: Wrapper, coordinator: Connection) -> None:
    spread = query(
        coordinator,
        "select c.relname, t.distribution_column from citus_tables as t join pg_class as c on c.oid = t.table_name",
    )
    assert set(spread) == COPIES | {(name, "membership_id") for name in MODELS}
    # Every shard is on a worker and in the write-ahead log, and every worker has some.
    shards = query(coordinator, "select distinct nodename, nodeport from citus_shards")
    assert set(shards) == set(query(coordinator, "select nodename, nodeport from pg_dist_node where groupid > 0"))
    assert len(shards) > 1
    unlogged = "select count(*) from pg_class where relpersistence = 'u' and relkind = 'r'"
    assert set(on_workers(coordinator, unlogged)) == {"0"}


@pytest.mark.parametrize("model", ["int_link_stats", "int_tag_stats", "int_month_stats", "int_reactions"])
def test_workers_fill_their_own_shards_of_a_count(
    model: str, compiled: dict[str, str], distributed: Wrapper, coordinator: Connection
) -> None:
    found = plan(coordinator, f"insert into signal_profiles_intermediate.{model} {compiled[model]}")
    assert "INSERT/SELECT method" not in found
    assert "Distributed Subplan" not in found
    assert f"  ->  Insert on signal_profiles_intermediate.{model}_" in found


@pytest.mark.parametrize(("model", "sent"), [("int_messages", 2), ("int_attachments", 1)])
def test_workers_send_rows_to_each_other_not_to_the_coordinator(
    model: str, sent: int, compiled: dict[str, str], distributed: Wrapper, coordinator: Connection
) -> None:
    """Only small tables are sent to all workers: the memberships, the requests, the kinds of attachments."""
    found = plan(coordinator, f"insert into signal_profiles_intermediate.{model} {compiled[model]}")
    assert "INSERT/SELECT method: repartition" in found
    assert found.count("Distributed Subplan") == sent


def test_candidates_and_bio_inputs_are_aggregated_on_the_workers(
    compiled: dict[str, str], distributed: Wrapper, coordinator: Connection
) -> None:
    """No subplan sends a whole table of messages, links or analyses."""
    _, memberships = plan(coordinator, compiled["int_snapshot_candidates"]).split("Distributed Subplan")
    assert memberships.splitlines()[1].endswith("->  Seq Scan on signal_profiles_intermediate.int_memberships")
    _, memberships, latest, inputs = plan(coordinator, compiled["int_bio_inputs"]).split("Distributed Subplan")
    assert memberships.splitlines()[1].endswith("->  Seq Scan on signal_profiles_intermediate.int_memberships")
    assert "Run Condition: (row_number() OVER (?) <= 12)" in latest
    assert "read_intermediate_result" in inputs
    assert "Seq Scan on signal_profiles_source.comment_llm_analyses_" in inputs


def test_run_on_citus_when_nothing_has_changed_builds_nothing(distributed: Wrapper) -> None:
    entry = distributed.snapshot("--all")
    assert (entry["built"], entry["changed"], entry["unchanged"]) == (False, 0, entry["generated"])


def test_highlights_that_changed_are_published_on_citus_without_starting_dbt(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, published: list[dict[str, Any]], without_dbt: dict[str, str]
) -> None:
    for line in wrapper.export("--stale"):
        write_bio(whiteballoon, line)
    members = len({row["user_id"] for row in published})
    found = json.loads(wrapper.succeed("freshness", "--json", **without_dbt).stdout)
    assert found["counts"] == {"up-to-date": members}


def test_scoped_run_on_citus_replaces_its_scope_and_a_dry_run_nothing(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, published: list[dict[str, Any]], coordinator: Connection
) -> None:
    before = query(coordinator, ROWS)
    for user_id in {row["user_id"] for row in published}:
        whiteballoon.comment(user_id, "more")
    changed = whiteballoon.app.execute("select user_id from user_attributes where key like 'signal_import_group:%'")
    user_id = min(user for (user,) in changed)
    assert wrapper.snapshot("--all", "--dry-run")["changed"] > 0
    assert query(coordinator, ROWS) == before
    assert wrapper.snapshot("--user", str(user_id))["changed"] > 0
    after = query(coordinator, ROWS)
    assert [row for row in after if row[0] != user_id] == [row for row in before if row[0] != user_id]
    assert [row for row in after if row[0] == user_id] != [row for row in before if row[0] == user_id]
    # Another run is refused while the lock is held.
    query(coordinator, f"select pg_advisory_lock({LOCK})")
    assert wrapper("snapshot", "--all").code == 75
    query(coordinator, f"select pg_advisory_unlock({LOCK})")


def test_failed_data_test_collapse_or_partial_build_on_citus_publishes_nothing(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, published: list[dict[str, Any]], coordinator: Connection
) -> None:
    before = query(coordinator, ROWS)
    query(coordinator, DAMAGE)
    try:
        failed = wrapper("snapshot", "--all", "--rebuild")
    finally:
        query(coordinator, REPAIR)
    assert (failed.code, failed.stderr.splitlines()[-1].split()[:3]) == (1, ["wrapper:", "data", "test"])
    part = wrapper("dbt", "build", "--select", "+signal_profile_snapshots")
    assert (part.code, "Nothing is published in part or untested" in part.stderr) == (1, True)
    whiteballoon.execute("delete from user_attributes")
    lost = wrapper("snapshot", "--all")
    assert lost.code == 1
    assert lost.stderr.startswith("wrapper: this run would lose 10 of 10 published snapshots, ")
    assert query(coordinator, ROWS) == before


def test_whiteballoon_in_the_coordinator_is_read_in_place(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, coordinator: Connection
) -> None:
    expected = awkward_whiteballoon(whiteballoon)
    whiteballoon.copy_to_postgres(URL)
    wrapper.environ |= {"DATABASE_URL": URL, "WB_SCHEMA": "wb"}
    entry = wrapper.snapshot("--all")
    assert entry["snapshots_digest"] == digest_of(expected)
    assert exported(wrapper) == expected
    # Tables that are joined with WhiteBalloon's stay on the coordinator.
    spread = query(coordinator, "select relname from citus_tables as t join pg_class as c on c.oid = t.table_name")
    assert {name for (name,) in spread} == MODELS
    # Copies of its tables may be distributed.
    query(coordinator, "select create_distributed_table('wb.request_comments', 'id')")
    assert wrapper.snapshot("--all")["unchanged"] == len(expected)


def test_killed_run_leaves_whole_rows_and_no_prepared_transaction(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, coordinator: Connection, record_property: Any
) -> None:
    history = History(wrapper, whiteballoon, coordinator)
    history.finish()
    rng = random.Random(1)
    kills = tried = 0
    while kills < 3:
        process = history.start()
        time.sleep(random_moment(rng, history.seconds))
        tried += 1
        kills += process.poll() is None
        send(process, signal.SIGKILL)
        process.communicate()
        history.look()
    history.finish()
    nothing_prepared(coordinator)
    record_property("killed in mid-run of tried", f"{kills} of {tried}")


def test_run_whose_worker_crashes_keeps_whole_rows_and_the_next_run_succeeds(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, coordinator: Connection
) -> None:
    history = History(wrapper, whiteballoon, coordinator)
    history.finish()
    counted = counts(coordinator)
    crash_a_worker(coordinator)
    assert counts(coordinator) == counted

    process = history.start()
    wait_until(lambda: running(coordinator, "insert into%int_messages%") or process.poll() is not None)
    crash_a_worker(coordinator)
    _, stderr = process.communicate(timeout=180)
    # The crash may come after the last statement that needs the worker.
    assert process.returncode in (0, 1), stderr
    history.look()
    history.finish()
    nothing_prepared(coordinator)


def test_run_with_a_worker_that_cannot_be_reached_fails_and_keeps_the_rows(
    wrapper: Wrapper, published: list[dict[str, Any]], coordinator: Connection
) -> None:
    before = query(coordinator, ROWS)
    [(node, host, port)] = query(
        coordinator, "select nodeid, nodename, nodeport from pg_dist_node where groupid > 0 order by 1 limit 1"
    )
    query(coordinator, f"select citus_update_node({node}, '127.0.0.1', 1)")
    try:
        failed = wrapper("snapshot", "--all", "--rebuild")
    finally:
        query(coordinator, f"select citus_update_node({node}, '{host}', {port}), start_metadata_sync_to_all_nodes()")
    assert failed.code == 1
    assert failed.stderr.startswith("wrapper: the warehouse failed during the load: ")
    assert query(coordinator, ROWS) == before
    assert wrapper.snapshot("--all", "--rebuild")["changed"] == 0


def counts(coordinator: Connection) -> list[tuple[Any, ...]]:
    names = [f"signal_profiles_source.{name}" for name, _ in COPIES]
    names += [f"signal_profiles_intermediate.{name}" for name in MODELS]
    return [query(coordinator, f"select '{name}', count(*) from {name}")[0] for name in sorted(names)]


def running(coordinator: Connection, pattern: str) -> bool:
    active = "state = 'active' and pid <> pg_backend_pid()"
    return bool(query(coordinator, f"select 1 from pg_stat_activity where {active} and query ilike '%{pattern}'"))


def crash_a_worker(coordinator: Connection) -> None:
    """Crash one worker, and wait until it is back."""
    node = "select nodename, nodeport from pg_dist_node where groupid > 0 order by nodeid limit 1"

    def succeeds(statement: str) -> bool:
        run = f"master_run_on_worker(array[nodename], array[nodeport], array[$run$ {statement} $run$], false)"
        return query(coordinator, f"select success from ({node}) as node, lateral {run}") == [(True,)]

    assert not succeeds(CRASH)
    wait_until(lambda: succeeds("select 1"))


def nothing_prepared(coordinator: Connection) -> None:
    """Wait until no worker has a prepared transaction; once a minute, Citus ends those that were left."""
    wait_until(lambda: set(on_workers(coordinator, "select count(*) from pg_prepared_xacts")) == {"0"}, seconds=150)
