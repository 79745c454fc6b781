"""Operators set dbt vars in the file that SNAPSHOT_VARS names."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.compiled import compile_sql
from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.pages import blocks
from tests.wrapper.reading.test_doctor import findings
from tests.wrapper.rules.test_rows import exported
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR, project_vars
from wrapper.errors import ConfigurationError
from wrapper.operator_vars import CHECKS, complaint, read_vars
from wrapper.settings import read_settings

VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 5, 64, 65, 1000, 1001, 1.5, "", "x", "64MB", "64 MB", "0MB", "9999MB", "10000MB",
    "1GB", "64MB\n", [], ["a"], ["a", ""], ["a\0"], [1], ["a=b"], ["a&b"], {}, {"a": 1},
]  # fmt: skip


def test_operator_var_value_is_refused_by_wrapper_and_dbt_in_the_same_words(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    text = (PROJECT_DIR / "macros" / "run_start" / "check_vars.sql").read_text()
    checks = {name: check for name, check in re.findall(r"'(\w+)': (_is_\w+)", text) if name in CHECKS}
    assert checks.keys() == CHECKS.keys()
    listed = ", ".join(f"'{name}': {check}" for name, check in checks.items())
    inline = (
        "{% set found = {} %}{% for name, check in {" + listed + "}.items() %}{% set complaints = [] %}"
        "{% for value in fromjson(var('values')) %}{% do complaints.append(check(value) or none) %}{% endfor %}"
        "{% do found.update({name: complaints}) %}{% endfor %}{{ tojson(found) }}"
    ).replace("var('values')", repr(json.dumps(VALUES)))
    found = json.loads(compile_sql(inline, tmp_path, make_database()))
    for name in checks:
        assert found[name] == [complaint(name, value) for value in VALUES], name
        assert complaint(name, project_vars()[name]) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "top_link_limit: 3",
            "the var 'top_link_limit' does not exist; these can be: top_links_limit,",
        ),
        ("user_ids: [1]", "the var 'user_ids' cannot be set there; these can be: "),
        ("contract_version: 2", "the var 'contract_version' cannot be set there; these can be: "),
        ("1: 2", "the var 1 does not exist; these can be: "),
        ("top_links_limit: many", "the var 'top_links_limit' must be a whole number from 0 to 1000"),
        ("threads: 2\nwork_mem: 64", "the var 'work_mem' must be an amount of memory from 1MB to 9999MB"),
        ("[1]", "is not a mapping: write a line like top_links_limit: 3 for each var"),
        ("a: [", "is not valid YAML: write a line like top_links_limit: 3 for each var"),
        ("a: \x00", "is not valid YAML: write a line like top_links_limit: 3 for each var"),
    ],
)
def test_vars_file_with_a_mistake_is_refused_with_its_path_and_the_problem(
    tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "vars.yml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        read_vars(file)
    message = str(caught.value)
    assert message.startswith(f"SNAPSHOT_VARS: {file}")
    assert problem in message


def test_vars_file_on_the_settings_page_is_valid_and_the_page_lists_every_var(tmp_path: Path) -> None:
    page = PROJECT_DIR / "docs" / "settings.md"
    [text] = blocks(page, "yaml")
    (tmp_path / "vars.yml").write_text(text)
    assert read_vars(tmp_path / "vars.yml")["threads"] == 2
    rows = page.read_text().partition("## Limits, roles and resources")[2].partition("\n## ")[0]
    assert [name for name in CHECKS if f"`{name}`" not in rows] == []


def test_vars_file_without_vars_sets_none_and_an_unreadable_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("# none yet\n")
    settings = read_settings({"SNAPSHOT_VARS": str(file)})
    assert settings.vars == {}
    assert settings.var("losses_checked_from") == 5
    file.write_text("losses_checked_from: 7\n")
    assert read_settings({"SNAPSHOT_VARS": str(file)}).var("losses_checked_from") == 7
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read: it is not valid UTF-8"):
        read_settings({"SNAPSHOT_VARS": str(file)})
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        read_settings({"SNAPSHOT_VARS": str(file)})


def test_run_with_a_vars_file_applies_it_and_builds_when_it_changes(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    before = exported(wrapper)
    assert max(len(row["top_tags"]) for row in before) > 1
    file = wrapper.cwd / "vars.yml"
    wrapper.environ["SNAPSHOT_VARS"] = "vars.yml"
    file.write_text("top_tag_limit: 1\n")
    refused = wrapper("snapshot", "--all")
    assert (refused.code, "the var 'top_tag_limit' does not exist" in refused.stderr) == (2, True)
    assert findings(wrapper, 2)["settings"].startswith("FIX: SNAPSHOT_VARS: vars.yml: the var 'top_tag_limit' does not")

    file.write_text("top_tags_limit: 1\nthreads: 2\nwork_mem: 3MB\nparallel_workers: 1\n")
    # A trigger records the settings that the sessions of a build have when they create a model.
    query(warehouse, SETTINGS_SEEN)
    assert wrapper.snapshot("--all")["built"] is True
    assert query(warehouse, "select distinct work_mem, workers from seen") == [("3MB", "1")]
    assert [row["top_tags"] for row in exported(wrapper)] == [row["top_tags"][:1] for row in before]
    assert wrapper.snapshot("--all")["built"] is False
    found = findings(wrapper, 0)
    assert found["vars"] == "ok: SNAPSHOT_VARS vars.yml sets top_tags_limit, threads, work_mem, parallel_workers"
    assert found["resources"] == (
        "ok: a run builds 2 models at a time, each with up to 1 parallel workers, and sorts in 3MB per process, so in "
        "up to 12 MB together; the vars threads, parallel_workers and work_mem change that"
    )

    inline = ["dbt", "--quiet", "compile", "--inline", "{{ var('top_tags_limit') }} {{ target.threads }}"]
    assert wrapper.succeed(*inline).stdout.split()[-2:] == ["1", "2"]
    assert wrapper.succeed(*inline, "--vars", "{top_tags_limit: 3}").stdout.split()[-2:] == ["3", "2"]
    bad = wrapper(*inline, "--vars", "{threads: many}")
    assert (bad.code, bad.stderr) == (2, "wrapper: --vars: the var 'threads' must be a whole number from 1 to 64\n")


SETTINGS_SEEN = """
create table seen (work_mem text, workers text);
create function see() returns event_trigger language plpgsql as $$
begin
    if tg_tag = 'CREATE TABLE AS' and exists (
        select 1 from pg_event_trigger_ddl_commands() where object_identity ~ 'int_link_stats'
    ) then
        insert into seen
        values (current_setting('work_mem'), current_setting('max_parallel_workers_per_gather'));
    end if;
end
$$;
create event trigger see on ddl_command_end execute function see()
"""
