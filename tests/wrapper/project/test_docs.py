"""Documents agree with the code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.faults.reference import read
from tests.wrapper.pages import PAGES, blocks
from wrapper import SignalProfileSnapshot
from wrapper.cli import cli
from wrapper.dbt_project import PROJECT_DIR
from wrapper.errors import ExitCode
from wrapper.settings import NAMES


def test_commands_page_matches_the_help_texts() -> None:
    said = subprocess.check_output([sys.executable, ".ci/commands.py"], cwd=PROJECT_DIR, text=True)
    assert (PROJECT_DIR / "docs" / "commands.md").read_text() == said, "run make commands"


def test_settings_are_all_on_their_page_and_in_env_example() -> None:
    page = (PROJECT_DIR / "docs" / "settings.md").read_text()
    example = (PROJECT_DIR / ".env.example").read_text()
    assert [name for name in NAMES if f"`{name}`" not in page or name not in example] == []


def test_exit_codes_are_all_on_the_settings_page() -> None:
    page = (PROJECT_DIR / "docs" / "settings.md").read_text().partition("## Exit codes")[2]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == set(ExitCode)


def test_help_fits_into_80_columns_with_each_summary_in_full() -> None:
    said = subprocess.check_output([sys.executable, ".ci/commands.py"], cwd=PROJECT_DIR, text=True)
    assert max(map(len, said.splitlines())) <= 120
    helps = re.findall(r"^```text\n(.*?)^```$", said, re.MULTILINE | re.DOTALL)
    assert len(helps) > len(cli.commands)
    assert max(len(line) for text in helps for line in text.splitlines()) <= 80
    for name, command in cli.commands.items():
        assert f"  {name:9}  {(command.help or '').splitlines()[0]}\n" in helps[0]


def test_help_imports_neither_dbt_nor_a_database_driver() -> None:
    program = (
        "import sys; sys.argv = ['wrapper', 'snapshot', '--help']\n"
        "from wrapper.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print(sorted({'dbt', 'psycopg2', 'rich', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "Usage: wrapper snapshot [OPTIONS]"
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_DIR)))
def test_page_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", text):
        if not target.startswith(("https://", "http://")):
            assert not target or (page.parent / target).exists(), f"{page.name} links to {target}"
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", text):
        headings = re.findall(r"^#+ (.+)$", ((page.parent / target) if target else page).read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in slugs, f"{page.name} links to #{anchor} of {target}"


def test_readme_row_is_the_first_row_of_the_example(example: Wrapper) -> None:
    snapshot = example.export()[0]["snapshot"]
    section = (PROJECT_DIR / "README.md").read_text().partition("## The table")[2]
    row = dict(re.findall(r"^\| `(\w+)` \| \w+ \| `([^`]+)`", section, re.MULTILINE))
    assert list(row) == list(snapshot)
    for column, value in snapshot.items():
        if isinstance(value, str):
            assert row[column] == re.sub(r"(\.\d*?)0+$", r"\1", value.replace("T", " "))
            continue
        shown = json.loads(row[column].replace(", …]", "]"))
        assert shown == (value[: len(shown)] if "…" in row[column] else value)


def test_readme_card_is_what_show_prints(example: Wrapper) -> None:
    card, _ = blocks(PROJECT_DIR / "README.md", "text")
    shown = example.succeed("show", "1", "--group-slug", "harvardstcommons").stdout
    # The time of the last change of the hash differs each time, and editors strip spaces at the end of a line.
    printed, written = (re.sub(r"( |^since .*)+$", "", text, flags=re.MULTILINE).strip() for text in (shown, card))
    assert written == printed


def test_rules_page_message_gives_what_its_table_says() -> None:
    page = PROJECT_DIR / "docs" / "rules.md"
    message, *_ = blocks(page, "text")
    facts = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page.read_text(), re.MULTILINE))
    found = read(message.strip())
    assert found.links == [("https://www.example.org/drills?id=7", "example.org", 1)]
    assert facts["top_links"] == "`https://www.example.org/drills?id=7` once, with the domain `example.org`"
    for column, counts in (("reaction_counts", found.reactions), ("attachment_counts", found.attachments)):
        assert facts[column] == ", ".join(f"`{key}` once" for key, count in counts.items() if count == 1)


def test_rules_page_hash_is_that_of_its_row() -> None:
    (block,) = blocks(PROJECT_DIR / "docs" / "rules.md", "text", "The hash")
    row, digest = block.splitlines()
    snapshot = SignalProfileSnapshot.from_dict(json.loads(row))
    assert (snapshot.canonical_json(), snapshot.snapshot_hash()) == (row, digest)


def test_code_blocks_on_pages_name_their_language() -> None:
    """Otherwise a command could be in a block that no test runs."""
    for page in PAGES:
        opening = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)[::2]
        assert set(opening) <= {"sh", "sql", "python", "diff", "ini", "text", "yaml"}, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_DIR)))
def test_page_prose_fits_into_120_columns(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_commands_in_sentences_exist() -> None:
    makefile = (PROJECT_DIR / "Makefile").read_text()
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", page.read_text()):
            for target in re.findall(r"^make ([a-z-]+)$", code):
                assert f"\n{target}:" in makefile, f"{page.name}: {code}"
            for words in re.findall(r"^(?:\.venv/bin/)?wrapper ([a-z].*)$", code):
                name, *arguments = words.split()
                command: click.Command = cli.commands[name]
                options = {option for parameter in command.params for option in parameter.opts}
                given = {word for word in arguments if word.startswith("--")}
                assert name == "dbt" or given <= options, f"{page.name}: {code}"


def test_queries_on_pages_return_rows(example: Wrapper) -> None:
    connection = psycopg2.connect(example.environ["WAREHOUSE_URL"])
    written = [(page.name, block) for page in PAGES for block in blocks(page, "sql")]
    queries = [(name, query) for name, block in written for query in block.split(";\n") if query.strip()]
    assert len(queries) >= 4
    with connection, connection.cursor() as cursor:
        for name, query in queries:
            cursor.execute(query)
            assert cursor.fetchall(), f"{name}: {query}"
    connection.close()


def test_python_blocks_on_pages_run_without_errors(example: Wrapper) -> None:
    line = example.export()[0]
    found = [block for page in PAGES for block in blocks(page, "python")]
    assert found
    for block in found:
        exec(block, {"line": line})  # noqa: S102 - that is what is tested


def test_site_links_lead_to_pages_of_the_site(tmp_path: Path) -> None:
    """Each file of the repository that a page links to is on the site too."""
    report = tmp_path / "report.html"
    report.touch()
    subprocess.check_call([sys.executable, ".ci/site.py", tmp_path / "pages", report, report], cwd=PROJECT_DIR)
    pages = list((tmp_path / "pages").rglob("*.md"))
    assert len(pages) > len(PAGES)
    for page in pages:
        text = re.sub(r"^(```|~~~~).*?^\1$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        # Pictures of HTML are links by now.
        assert "<picture>" not in text
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert (page.parent / target).is_file(), f"{page} links to {target}"
    listed = set(re.findall(r"[\w./]+\.md", (PROJECT_DIR / "mkdocs.yml").read_text()))
    assert listed <= {str(page.relative_to(tmp_path / "pages")) for page in pages}
