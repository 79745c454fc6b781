"""The benchmark: what it generates, and that the script it is compared with reaches the project's own hashes.

DuckDB and Polars are not installed in CI; `make bench` itself refuses a contender that reaches other hashes.
"""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import generate
from tests.wrapper.conftest import Wrapper
from wrapper.project import PROJECT_DIR

COMMENTS, MEMBERSHIPS = 20_000, 200


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate.generate(folder, COMMENTS, MEMBERSHIPS)
    return folder


def test_it_generates_the_same_each_time(generated: Path, tmp_path: Path) -> None:
    generate.generate(tmp_path, COMMENTS, MEMBERSHIPS)
    for name in ("app.db", "comment_llm_insights.db"):
        assert (tmp_path / name).read_bytes() == (generated / name).read_bytes()


def test_it_generates_the_shares_that_it_says(generated: Path) -> None:
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


def test_the_script_reaches_the_same_hashes(wrapper: Wrapper, generated: Path) -> None:
    wrapper.environ |= {
        "DATABASE_URL": f"sqlite:///{generated / 'app.db'}",
        "COMMENT_INSIGHTS_DB": str(generated / "comment_llm_insights.db"),
    }
    entry = wrapper.snapshot("--all")
    command = ["-m", "benchmarks.contend_script", wrapper.environ["WAREHOUSE_URL"], "signal_profiles_source"]
    printed = json.loads(subprocess.check_output([sys.executable, *command], cwd=PROJECT_DIR))
    assert (printed["digest"], printed["snapshots"]) == (entry["snapshots_digest"], entry["generated"])
