"""Documents that say what the code says too."""

import json
import re
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper
from wrapper.project import PROJECT_DIR
from wrapper.settings import NAMES

PAGES = [PROJECT_DIR / "README.md", *sorted(PROJECT_DIR.glob("docs/*.md")), *sorted(PROJECT_DIR.glob("*/README.md"))]
PAGES += [PROJECT_DIR / name for name in ("CONTRIBUTING.md", "DECISIONS.md", "SECURITY.md", "CHANGELOG.md")]


def test_the_page_of_commands_is_what_they_say() -> None:
    said = subprocess.check_output([sys.executable, ".ci/commands.py"], cwd=PROJECT_DIR, text=True)
    assert (PROJECT_DIR / "docs" / "commands.md").read_text() == said, "run make commands"


def test_every_command_is_in_the_readme() -> None:
    commands = re.findall(r"^## wrapper (\w+)$", (PROJECT_DIR / "docs" / "commands.md").read_text(), re.MULTILINE)
    readme = (PROJECT_DIR / "README.md").read_text()
    assert [name for name in commands if f"wrapper {name}" not in readme] == []
    assert [name for name in NAMES if f"`{name}`" not in readme] == []
    assert [name for name in NAMES if name not in (PROJECT_DIR / ".env.example").read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_DIR)))
def test_a_page_links_to_what_there_is(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", text):
        if not target.startswith(("https://", "http://")):
            assert not target or (page.parent / target).exists(), f"{page.name} links to {target}"
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", text):
        headings = re.findall(r"^#+ (.+)$", ((page.parent / target) if target else page).read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in slugs, f"{page.name} links to #{anchor} of {target}"


def blocks(language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language on all pages, each with its page's name."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, block) for page in PAGES for block in fence.findall(page.read_text())]


def test_every_query_on_a_page_has_an_answer(example: Wrapper) -> None:
    connection = psycopg2.connect(example.environ["WAREHOUSE_URL"])
    queries = [(name, query) for name, block in blocks("sql") for query in block.split(";\n") if query.strip()]
    assert len(queries) >= 4
    with connection, connection.cursor() as cursor:
        for name, query in queries:
            cursor.execute(query)
            assert cursor.fetchall(), f"{name}: {query}"
    connection.close()


def test_the_python_on_a_page_works(example: Wrapper) -> None:
    line = json.loads(example.succeed("export").stdout.splitlines()[0])
    found = blocks("python")
    assert found
    for _, block in found:
        exec(block, {"line": line})  # noqa: S102 - that is what is tested
