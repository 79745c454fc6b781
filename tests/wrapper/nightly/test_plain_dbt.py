"""dbt alone, without its sources; as CONTRIBUTING.md has it, it is run in test_pages.py."""

from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.wrapper.compiled import start_plain_dbt
from tests.wrapper.conftest import query


def test_without_sources_the_build_says_how_to_get_them(make_database: Callable[[], str], tmp_path: Path) -> None:
    url = make_database()
    build = start_plain_dbt(url, tmp_path / "target", "build", "--exclude-resource-type", "unit_test")
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


def test_spreading_tables_over_workers_is_refused_without_a_citus_cluster(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    arguments = ["run-operation", "refuse_without_workers", "--vars", "{distributed: true}"]
    refused = start_plain_dbt(make_database(), tmp_path / "target", *arguments)
    output = refused.communicate(timeout=180)[0]
    assert refused.returncode == 1, output
    assert "The var 'distributed' is true, but this database has no extension citus: set it to false" in output
