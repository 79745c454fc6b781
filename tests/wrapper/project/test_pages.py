"""The commands on the pages, typed as they are written, each page's in one shell; only locations differ."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import query
from tests.wrapper.pages import PAGES, blocks, copy_clone
from tests.wrapper.servers import Server
from wrapper.dbt_project import PROJECT_DIR

VIEWS = "select viewname::text from pg_views where schemaname like 'signal_profiles_pull_request%'"
RULE = "an_extension_stands_behind_a_dot_or_a_colon"


def commands(page: str) -> str:
    """All commands on a page."""
    return "".join(blocks(PROJECT_DIR / page, "sh"))


def type_in(script: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the commands of a script in a shell until one fails."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate clone, installed already: with PYTHONPATH, the environment's `wrapper` runs the clone's code."""
    folder = tmp_path_factory.mktemp("clone")
    copy_clone(folder)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for name in ("pyproject.toml", "requirements.lock"):
        # Older than what is installed, so that `make` never installs this clone in place of the real one.
        os.utime(folder / name, (0, 0))
    return folder


@pytest.fixture(scope="module")
def readme(clone: Path) -> "subprocess.CompletedProcess[str]":
    """The commands of the README, typed."""
    return type_in(commands("README.md"), clone)


def apply(diff: str, clone: Path, undo: bool = False) -> None:
    """Change a file of the clone as a block says: the name of the file, then lines that are removed, added or kept."""
    head, *lines = diff.splitlines(keepends=True)
    file = clone / head.removeprefix("--- ").strip()
    before, after = ("".join(line[1:] or line for line in lines if line[0] != sign) for sign in "+-")
    if undo:
        before, after = after, before
    text = file.read_text()
    assert text.count(before) == 1, diff
    file.write_text(text.replace(before, after))


def test_readme_commands_print_what_the_page_shows(readme: "subprocess.CompletedProcess[str]") -> None:
    assert readme.returncode == 0, readme.stdout
    _, shown = blocks(PROJECT_DIR / "README.md", "text")
    # How long a run takes differs each time.
    shown, printed = (re.sub(r"\d+\.\d s", "N s", text) for text in (shown, readme.stdout))
    assert shown in printed
    assert printed.count("\nMember ") == 3


@pytest.mark.usefixtures("readme")
def test_walk_in_contributing_fails_before_the_rule_changes_and_then_succeeds(clone: Path) -> None:
    """The unit test fails before the rule is changed, and then succeeds."""
    page = PROJECT_DIR / "CONTRIBUTING.md"
    unit_test, *rule = blocks(page, "diff")
    if RULE in (PROJECT_DIR / "models" / "intermediate" / "_int_attachments__unit_tests.yml").read_text():
        # Somebody who has followed the walk runs the tests too.
        for diff in (unit_test, *rule):
            apply(diff, clone, undo=True)
    command = ".venv/bin/wrapper dbt build --select int_attachments"
    assert f"`{command}`" in page.read_text()
    apply(unit_test, clone)
    failed = type_in(command, clone)
    assert failed.returncode == 1, failed.stdout
    assert RULE in failed.stdout
    for diff in rule:
        apply(diff, clone)
    changed = type_in(f"{command} test_text", clone)
    assert changed.returncode == 0, changed.stdout


@pytest.mark.full
@pytest.mark.usefixtures("readme")
def test_commands_in_contributing_build_only_what_the_rule_changes(clone: Path, server: Server) -> None:
    """After the walk, a pull request builds what the rule changes."""
    page = PROJECT_DIR / "CONTRIBUTING.md"
    diffs = blocks(page, "diff")
    model = PROJECT_DIR / "models" / "intermediate" / "_int_attachments__unit_tests.yml"
    is_walked = RULE in (clone / model.relative_to(PROJECT_DIR)).read_text()
    if is_walked:
        for diff in reversed(diffs):
            apply(diff, clone, undo=True)
    # Before the rule is changed, as on `main`.
    state = ".venv/bin/dbt parse --target-path state"
    assert f"`{state}`" in " ".join(page.read_text().split())
    parsed = type_in(state, clone, PGDATABASE="review")
    assert parsed.returncode == 0, parsed.stdout
    for diff in diffs:
        apply(diff, clone)
    url = server.create_database("review")
    host = url.partition("host=")[2]
    typed = commands("CONTRIBUTING.md").replace("PGHOST=localhost", f"PGHOST={host.partition('&')[0]}")
    done = type_in(typed.replace("@localhost/review", f"@/review?host={host}"), clone)
    assert done.returncode == 0, done.stdout
    # Each dbt build, by the wrapper or by hand, ends with such a line.
    assert re.findall("WARN=[1-9]", done.stdout) == []
    # A pull request builds what the rule changes in a schema of its own, and clones the rest there.
    built = re.findall(r"OK created sql table model signal_profiles_pull_request_intermediate\.(\w+)", done.stdout)
    assert "int_attachments" in built
    assert "int_messages" not in built
    with contextlib.closing(psycopg2.connect(url)) as connection:
        cloned = {name for (name,) in query(connection, VIEWS)}
    assert {"int_messages", "signal_profile_snapshots"} <= cloned
    assert cloned.isdisjoint(built)
    # The command refuses to run where something is published, so that it never empties a real warehouse.
    fresh = typed[typed.index("export PGHOST") : typed.index("export DATABASE_URL")]
    assert "make_missing_sources is for a fresh database" in type_in(fresh, clone).stdout


@pytest.mark.parametrize("page", ["docs/reliability.md", "benchmarks/README.md"])
def test_commands_that_take_hours_succeed_in_a_dry_run(clone: Path, page: str) -> None:
    typed = commands(page).replace("-m pytest", "-m pytest --collect-only")
    done = type_in(typed, clone, MAKEFLAGS="--dry-run")
    assert done.returncode == 0, done.stdout


@pytest.mark.full
def test_make_bench_with_few_comments_writes_the_results_page(clone: Path) -> None:
    done = type_in("make bench COMMENTS=1000 ROUNDS=1", clone)
    assert done.returncode == 0, done.stdout
    assert "## 1,000 comments" in (clone / "benchmarks" / "RESULTS.md").read_text()


def test_pages_with_commands_are_all_tested() -> None:
    """test_deployed.py and test_rewrite_bios.py type the other two."""
    tried = {"README.md", "CONTRIBUTING.md", "docs/reliability.md", "benchmarks/README.md"}
    written = {str(page.relative_to(PROJECT_DIR)) for page in PAGES if blocks(page, "sh")}
    assert written == {*tried, "deploy/README.md", "integrations/whiteballoon/README.md"}
