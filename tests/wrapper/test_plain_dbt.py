"""What a reviewer runs: dbt alone, on a fresh Postgres, as CONTRIBUTING.md says."""

from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.wrapper.compiled import start_plain_dbt
from tests.wrapper.conftest import query
from wrapper.project import PROJECT_DIR


def test_dbt_builds_on_a_fresh_postgres(make_database: Callable[[], str], tmp_path: Path) -> None:
    arguments = ["build", "--vars", "{make_missing_sources: true}"]
    documented = (PROJECT_DIR / "CONTRIBUTING.md").read_text()
    assert f"dbt build --profiles-dir profiles --vars '{arguments[2]}'" in documented
    url = make_database()
    first = start_plain_dbt(url, tmp_path / "target", *arguments)
    output = first.communicate(timeout=180)[0]
    assert first.returncode == 0, output
    assert "ERROR=0" in output
    assert "WARN=0" in output
    connection = psycopg2.connect(url)
    assert query(connection, "select count(*) from signal_profiles.signal_profile_groups") == [(0,)]
    connection.close()
    # Not where something is published: copied into a real warehouse, the command must not empty it.
    second = start_plain_dbt(url, tmp_path / "target", *arguments)
    assert "make_missing_sources is for a fresh database" in second.communicate(timeout=180)[0]
    assert second.returncode != 0


def test_without_sources_nothing_is_published(make_database: Callable[[], str], tmp_path: Path) -> None:
    url = make_database()
    build = start_plain_dbt(url, tmp_path / "target", "build", "--exclude-resource-type", "unit_test")
    output = build.communicate(timeout=180)[0]
    assert build.returncode == 1, output
    connection = psycopg2.connect(url)
    assert query(connection, "select to_regclass('signal_profiles.signal_profile_snapshots')") == [(None,)]
    connection.close()
