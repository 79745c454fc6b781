"""The benchmark: what it generates, the script's hashes compared with the project's, and the report.

DuckDB and Polars are not installed in CI; `make bench` itself refuses a contender that reaches other hashes.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import generate, report
from tests.wrapper.conftest import publish
from tests.wrapper.servers import Server
from wrapper.dbt_project import PROJECT_DIR

COMMENTS, MEMBERSHIPS = 20_000, 200


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate.generate(folder, COMMENTS, MEMBERSHIPS)
    return folder


def test_generator_makes_the_same_files_each_time(generated: Path, tmp_path: Path) -> None:
    generate.generate(tmp_path, COMMENTS, MEMBERSHIPS)
    for name in ("app.db", "comment_llm_insights.db"):
        assert (tmp_path / name).read_bytes() == (generated / name).read_bytes()


def test_generator_makes_the_shares_that_it_declares(generated: Path) -> None:
    app = sqlite3.connect(generated / "app.db")
    shares = app.execute(
        """
        select
            avg(body like '%://%'), avg(body like '%(Reactions: %)'), avg(body like '%[attachments: %'),
            avg(deleted_at is not null), avg(help_request_id = 0)
        from request_comments
        """
    ).fetchone()
    expected = [generate.LINKED, generate.REACTED, generate.ATTACHED, generate.DELETED, generate.ELSEWHERE]
    assert shares == pytest.approx(expected, abs=0.01)
    analysed = sqlite3.connect(generated / "comment_llm_insights.db")
    share = analysed.execute("select count(*) from comment_llm_analyses").fetchone()[0] / COMMENTS
    assert share == pytest.approx(generate.ANALYSED, abs=0.01)
    busiest, groups = app.execute(
        "select max(n), max(groups) from (select count(*) as n, count(distinct help_request_id) as groups "
        "from request_comments where help_request_id > 0 group by user_id)"
    ).fetchone()
    assert busiest > 10 * COMMENTS / MEMBERSHIPS
    assert groups > 1


def test_benchmark_script_over_either_source_gives_the_published_hashes(
    server: Server, parsed: Path, generated: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(generated, tmp_path / "data"))
    generate.edit(data, 1)
    wrapper = publish(server, tmp_path, "generated", parsed)
    entry = wrapper.log()[-1]
    postgres = (wrapper.environ["WAREHOUSE_URL"], "signal_profiles_source")
    for source in (postgres, (data / "app.db", data / "comment_llm_insights.db")):
        command = [sys.executable, "-m", "benchmarks.contend_script", *source]
        printed = json.loads(subprocess.check_output(command, cwd=PROJECT_DIR))
        assert (printed["digest"], printed["snapshots"]) == (entry["snapshots_digest"], entry["generated"])


def test_generator_edit_changes_one_comment_in_a_thousand(generated: Path, tmp_path: Path) -> None:
    shutil.copy(generated / "app.db", tmp_path)
    generate.edit(tmp_path, 1)
    generate.edit(tmp_path, 2)
    app = sqlite3.connect(tmp_path / "app.db")
    app.execute("attach ? as unedited", (str(generated / "app.db"),))
    changed = "select count(*) from request_comments as c join unedited.request_comments as u using (id) where {}"
    assert app.execute(changed.format("c.body <> u.body")).fetchone() == (2 * COMMENTS // 1000,)
    assert app.execute(changed.format("c.body like 'https://%' || u.body")).fetchone() == (2 * COMMENTS // 1000,)


def test_results_page_matches_the_stored_results() -> None:
    assert (PROJECT_DIR / "benchmarks" / "RESULTS.md").read_text() == report.describe(report.read_results())


def test_benchmark_report_compares_each_measured_target_with_its_limit() -> None:
    seconds = dict.fromkeys([*report.NIGHTS, *report.LABELS], 1.0)
    seconds |= {"changed night": 12, "unchanged night": 6, "script over SQLite": 8, "statements": 9, "DuckDB": 6}
    at_one_million: dict[str, Any] = {
        "comments": 1_000_000,
        "snapshots": {
            # The median is neither the mean nor the first.
            name: [dict.fromkeys(("wall", "seconds", "total", "statements", "snapshots"), n) for n in (99, 0, middle)]
            for name, middle in seconds.items()
        },
        "loads": {"load": [{"wall": 4.0}], "dump": []},
        "help": 0.1,
        "example": 1.6,
        "memory": {"few": {"rss_mib": 100}, "many": {"rss_mib": 105}},
    }
    at_five_million = {"comments": 5_000_000, "snapshots": {"changed night": [{"wall": 66.0}]}}
    rows = report.targets([at_one_million, at_five_million])
    for row in (
        "| changed night / the Python script over SQLite | 1.50 | 1.6 | met |",
        "| unchanged night / the same script | 0.75 | 0.7 | not met |",
        "| `wrapper load` / the same script | 0.50 | 0.5 | met |",
        "| changed night at 5,000,000 / at 1,000,000 | 5.50 | 5.2 | not met |",
        "| statements / DuckDB over Postgres | 1.50 | 1.5 | met |",
        "| example database, unchanged night, seconds | 1.60 | 1.5 | not met |",
        "| peak memory of the wrapper at a hundred times the snapshots | 1.05 | 1.1 | met |",
        "| load / `sqlite3 .dump \\| psql` | | 0.25 | not measured |",
        "| statements at 5,000,000 / at 1,000,000 | | 5.5 | not measured |",
    ):
        assert row in rows
