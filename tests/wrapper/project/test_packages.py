"""Other dbt packages: one that is installed beside this project, and a project that has this one installed."""

from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.compiled import start_plain_dbt
from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.pages import copy_clone
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR

PROJECT = """
name: tiny
version: "1.0"
profile: signal_profiles
flags: {send_anonymous_usage_stats: false}
"""
# One model, one test, one var and one source, each named or marked as this project marks its own.
GREETINGS = """
{{ config(materialized='table', meta={'unit': 'snapshots'}) }}
select {{ "'" ~ var('greeting', none) ~ "'" if var('greeting', none) else 'null' }}::text as greeting
"""
RULES = """
models:
  - name: greetings
    columns:
      - name: greeting
        data_tests: [not_null]
sources:
  - name: post
    schema: "{{ target.schema }}_source"
    tables:
      - name: letters
        config: {meta: {optional: true}}
        columns: [{name: id, data_type: bigint}]
      - name: parcels
        columns: [{name: id, data_type: bigint}]
"""
BUILT = "select to_regclass('signal_profiles.greetings') is not null, to_regclass('signal_profiles_source.letters')"
XMINS = "select max(xmin::text::bigint) from signal_profiles.signal_profile_snapshots"


def make_project(folder: Path) -> None:
    """Write a dbt project named tiny."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "models" / "greetings.sql").write_text(GREETINGS)
    (folder / "models" / "_rules.yml").write_text(RULES)


def install(project: Path, package: Path) -> None:
    """Do what `dbt deps` does with a local package."""
    (project / "packages.yml").write_text(f"packages:\n  - local: {package}\n")
    (project / "dbt_packages").mkdir()
    (project / "dbt_packages" / package.name).symlink_to(package)


def test_run_with_another_package_installed_ignores_the_package(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection, tmp_path: Path
) -> None:
    """Without its var, the package's test would fail."""
    make_project(tmp_path / "tiny")
    clone = tmp_path / "clone"
    clone.mkdir()
    copy_clone(clone)
    install(clone, tmp_path / "tiny")
    entry = wrapper.snapshot("--all", "--rebuild", PYTHONPATH=str(clone))
    assert (entry["built"], entry["unchanged"], entry["changed"]) == (True, 10, 0)
    assert query(warehouse, BUILT) == [(False, None)]


@pytest.mark.usefixtures("awkward")
def test_dbt_build_with_this_project_as_a_package_publishes_both(
    wrapper: Wrapper, warehouse: Connection, tmp_path: Path
) -> None:
    make_project(tmp_path / "tiny")
    install(tmp_path / "tiny", PROJECT_DIR)
    before = query(warehouse, XMINS)
    build = start_plain_dbt(
        wrapper.environ["WAREHOUSE_URL"],
        *(tmp_path / "target", "build", "--exclude-resource-type", "unit_test", "--vars", "{greeting: hello}"),
        *("--project-dir", str(tmp_path / "tiny")),
    )
    output = build.communicate(timeout=180)[0]
    assert build.returncode == 0, output
    assert "signal_profiles has no var 'greeting'" in output
    assert query(warehouse, "table signal_profiles.greetings") == [("hello",)]
    assert query(warehouse, XMINS) > before
