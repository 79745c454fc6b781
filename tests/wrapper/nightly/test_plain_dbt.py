"""These tests run dbt without `wrapper snapshot`; test_pages.py runs it as CONTRIBUTING.md shows."""

from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.wrapper.compiled import start_plain_dbt
from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.warehouse.test_lock import LOCK
from tests.wrapper.whiteballoon import WhiteBalloon


def test_dbt_build_without_sources_names_the_command_that_makes_them(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    build = start_plain_dbt(url, tmp_path / "target", "build", "--selector", "nightly")
    output = build.communicate(timeout=180)[0]
    assert build.returncode == 2, output
    assert (
        "run `wrapper load` first, or build from empty tables on a fresh database with "
        "--vars '{make_missing_sources: true}'" in output
    )
    assert "Database Error" not in output
    connection = psycopg2.connect(url)
    assert query(connection, "select to_regclass('signal_profiles.signal_profile_snapshots')") == [(None,)]
    connection.close()


def test_distributed_var_without_the_citus_extension_is_refused(wrapper: Wrapper) -> None:
    refused = wrapper("dbt", "run-operation", "refuse_without_workers", "--vars", "{distributed: true}")
    assert refused.code == 1, refused.stdout
    assert "The var 'distributed' is true, but this database has no extension citus: set it to false" in refused.stdout


def test_plain_dbt_is_refused_during_a_run_and_unaffected_by_session_settings(
    make_database: Callable[[], str], whiteballoon: WhiteBalloon, tmp_path: Path
) -> None:
    whiteballoon.group(1)
    whiteballoon.comment(1, "https://a.example/x and (a.example)")
    url = make_database()
    whiteballoon.copy_to_postgres(url)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    aware = "alter created_at type timestamptz using created_at at time zone 'UTC'"
    query(connection, f"alter table wb.request_comments {aware}")
    name = connection.info.dbname
    query(connection, f"alter database {name} set timezone = 'America/New_York'")
    query(connection, f"alter database {name} set standard_conforming_strings = off")
    query(connection, f"select pg_advisory_lock({LOCK})")
    build = ["build", "--selector", "nightly", "--vars", "{whiteballoon_schema: wb}"]

    refused = start_plain_dbt(url, tmp_path / "target", *build)
    output = refused.communicate(timeout=180)[0]
    assert refused.returncode == 2, output
    assert "a run of the wrapper holds the lock of schema signal_profiles: run dbt again when that has ended" in output
    assert query(connection, "select to_regclass('signal_profiles_intermediate.int_memberships')") == [(None,)]

    query(connection, f"select pg_advisory_unlock({LOCK})")
    done = start_plain_dbt(url, tmp_path / "target", *build)
    output = done.communicate(timeout=180)[0]
    assert done.returncode == 0, output
    published = "select first_seen_at::text, top_links from signal_profiles.signal_profile_snapshots"
    link = {"url": "https://a.example/x", "count": 1, "domain": "a.example"}
    assert query(connection, published) == [("2024-03-18 12:00:00", [link])]
    connection.close()
