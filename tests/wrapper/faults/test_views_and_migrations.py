"""Analysts' views and WhiteBalloon's migrations beside every kind of run, and rows that a data test refuses."""

import re
import socket
import threading
from collections.abc import Callable

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.rules.test_rows import awkward_whiteballoon
from tests.wrapper.whiteballoon import WhiteBalloon

# This changes the candidates as soon as they are built, as a broken rule would.
DAMAGED = "update signal_profiles_intermediate.int_snapshot_candidates__dbt_tmp set message_count = message_count + 1"
DAMAGE = """
create function public.damage() returns event_trigger language plpgsql as $$
begin
    if exists (select from pg_event_trigger_ddl_commands() where object_identity like '%.int_snapshot_candidates%') then
        update signal_profiles_intermediate.int_snapshot_candidates__dbt_tmp set message_count = message_count + 1;
    end if;
end
$$;
create event trigger damage on ddl_command_end when tag in ('CREATE TABLE AS') execute function public.damage();
"""
REPAIR = "drop event trigger damage; drop function public.damage()"
PUBLISHED = (
    "select relname from pg_class where relnamespace = 'signal_profiles'::regnamespace and relkind in ('r', 'v')"
)
CATALOGUE = """
select c.oid, c.relname, c.relkind, c.relacl, obj_description(c.oid), a.attname, a.atttypid, a.attnotnull
from pg_class as c
left join pg_attribute as a on a.attrelid = c.oid
where c.relnamespace = 'signal_profiles'::regnamespace
order by c.oid, a.attnum
"""


def test_analysts_views_survive_every_kind_of_run(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    relations = [str(name) for (name,) in query(warehouse, PUBLISHED)]
    assert {"signal_profile_snapshots", "signal_profile_snapshot_hashes"} <= set(relations)
    query(warehouse, "create schema analysts")
    for name in relations:
        query(warehouse, f"create view analysts.{name} as select * from signal_profiles.{name}")
    catalogue = query(warehouse, CATALOGUE)

    awkward.comment(1, "one more")
    wrapper.snapshot("--all", "--dry-run")
    assert query(warehouse, CATALOGUE) == catalogue
    check_failing_run(wrapper, warehouse, relations)
    wrapper.snapshot("--user", "2")
    wrapper.succeed("dbt", "build", "--full-refresh", "--selector", "nightly")
    for name in relations:
        query(warehouse, f"select * from analysts.{name}")
    assert query(warehouse, CATALOGUE) == catalogue


def check_failing_run(wrapper: Wrapper, warehouse: Connection, relations: list[str]) -> None:
    """Make a data test fail; check that it is named, logged and counted, and that no published row changed."""
    rows = [f"select t::text from signal_profiles.{name} as t order by 1" for name in relations]
    rows.append("select xmin from signal_profiles.signal_profile_snapshots")
    before = [query(warehouse, sql) for sql in rows]
    query(warehouse, DAMAGE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        port = str(receiver.getsockname()[1])
        result = wrapper("snapshot", "--all", STATSD_HOST="127.0.0.1", STATSD_PORT=port)
        assert receiver.recv(1000).splitlines()[0] == b"signal_glaze.snapshot_failures:1|c"
    query(warehouse, REPAIR)
    assert result.code == 1
    # Two tests count messages, and dbt runs them beside each other.
    name = "(candidates_count_every_comment_once|candidates_are_memberships_with_comments)"
    assert re.fullmatch(
        rf"wrapper: data test {name} failed on \d+ rows \(wrapper dbt test --select {name} repeats it\); "
        r"the published snapshots are as they were\n",
        result.stderr,
    )
    assert (wrapper.log()[-1]["status"], wrapper.log()[-1]["generated"]) == ("failed", None)
    assert [query(warehouse, sql) for sql in rows] == before


def test_whiteballoons_migrations_during_a_run_do_not_wait_for_it(
    wrapper: Wrapper,
    whiteballoon: WhiteBalloon,
    make_database: Callable[[], str],
    record_property: Callable[[str, object], None],
) -> None:
    awkward_whiteballoon(whiteballoon)
    url = make_database()
    wrapper.read_in_place(whiteballoon, url)
    wrapper.snapshot("--all")
    tables = ("user_attributes", "help_requests", "request_comments")
    migrations = 0
    over = threading.Event()
    connection = psycopg2.connect(url, options="-c lock_timeout=3000")

    def migrate() -> None:
        nonlocal migrations
        while not over.wait(0.02):
            for table in tables:
                with connection, connection.cursor() as cursor:
                    cursor.execute(f"alter table wb.{table} add column extra int; alter table wb.{table} drop extra")
                migrations += 1

    # The run waits for the analyses, since WhiteBalloon locks their file for a while.
    whiteballoon.analyses.execute("pragma journal_mode=delete")
    whiteballoon.analyses.execute("begin exclusive")
    run = wrapper.start("snapshot", "--all")
    thread = threading.Thread(target=migrate)
    thread.start()
    over.wait(5)
    whiteballoon.analyses.execute("rollback")
    assert run.wait(timeout=120) == 0
    assert thread.is_alive()
    over.set()
    thread.join()
    with connection, connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"drop table wb.{table}")
    connection.close()
    record_property("migrations during a run", migrations)


def test_intermediate_table_emptied_by_a_server_crash_is_not_published(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    """A crash between two models empties unlogged tables, while the catalogue still has their count."""
    published = "select t::text from signal_profiles.signal_profile_snapshots as t order by 1"
    before = query(warehouse, published)
    crash = DAMAGE.replace(DAMAGED, "delete from signal_profiles_intermediate.int_reactions")
    query(warehouse, crash)
    result = wrapper("snapshot", "--all", "--rebuild")
    assert result.code == 1
    assert "int_reactions was emptied by a crash of the server: run again" in result.stderr
    assert query(warehouse, published) == before
    query(warehouse, REPAIR)
    assert wrapper.snapshot("--all", "--rebuild")["unchanged"] == len(before)
