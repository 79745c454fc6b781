"""A table of WhiteBalloon's that has not changed since the last load is not copied again."""

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

TABLES = "select relname, relfilenode from pg_class where relnamespace = 'signal_profiles_source'::regnamespace"
COMMENTS, ANALYSES = "request_comments", "comment_llm_analyses"


@pytest.fixture
def loaded(whiteballoon: WhiteBalloon, wrapper: Wrapper) -> WhiteBalloon:
    """A WhiteBalloon with a message that holds NUL, after a run without anything to build."""
    whiteballoon.comment(1, "see https://a.example/\0", tags=["food", None, None])
    wrapper.succeed("snapshot", "--all")
    return whiteballoon


def copied(wrapper: Wrapper, warehouse: Connection, *command: str) -> set[str]:
    """Run a command and return the tables that it copied."""
    before = dict(query(warehouse, TABLES))
    wrapper.succeed(*(command or ("snapshot", "--all")))
    return {name for name, file in query(warehouse, TABLES) if before.get(name) != file and "_pkey" not in name}


def test_unchanged_tables_are_not_copied_again(wrapper: Wrapper, loaded: WhiteBalloon, warehouse: Connection) -> None:
    assert copied(wrapper, warehouse) == set()
    # Another table of the same file has changed.
    loaded.execute("create table sessions (id integer primary key, token text)")
    loaded.execute("insert into sessions (token) values (hex(randomblob(20000)))")
    assert copied(wrapper, warehouse) == set()
    loaded.execute("update request_comments set body = 'https://b.example/'")
    assert copied(wrapper, warehouse) == {COMMENTS}
    assert query(warehouse, f"select body from signal_profiles_source.{COMMENTS}") == [("https://b.example/",)]
    loaded.execute("alter table request_comments add column edited_at text")
    assert copied(wrapper, warehouse) == {COMMENTS}


def test_view_in_place_of_a_table_is_copied_every_time(
    wrapper: Wrapper, loaded: WhiteBalloon, warehouse: Connection
) -> None:
    loaded.execute("alter table request_comments rename to stored")
    loaded.execute("create view request_comments as select * from stored")
    assert copied(wrapper, warehouse) == {COMMENTS}
    assert copied(wrapper, warehouse) == {COMMENTS}


@pytest.mark.parametrize("command", [("load",), ("snapshot", "--all", "--rebuild")])
def test_load_and_rebuild_copy_every_table(
    wrapper: Wrapper, loaded: WhiteBalloon, warehouse: Connection, command: tuple[str, ...]
) -> None:
    assert copied(wrapper, warehouse, *command) >= {COMMENTS, ANALYSES}


@pytest.mark.parametrize(
    "edit",
    [
        "update {} set help_request_id = help_request_id",
        "delete from {}",
        "insert into {0} select comment_id + 1 from {0}",
        "drop table {}",
        "alter table {} add column more text",
        "comment on table {} is null",
        "comment on table {} is 'edited'",
        "comment on table {} is '[1, 2]'",
    ],
)
def test_copy_that_was_edited_is_copied_again(
    wrapper: Wrapper, loaded: WhiteBalloon, warehouse: Connection, edit: str
) -> None:
    rows = query(warehouse, f"select * from signal_profiles_source.{ANALYSES}")
    query(warehouse, edit.format(f"signal_profiles_source.{ANALYSES}"))
    assert copied(wrapper, warehouse) == {ANALYSES}
    assert query(warehouse, f"select * from signal_profiles_source.{ANALYSES}") == rows


def test_other_vars_copy_every_table_again(wrapper: Wrapper, loaded: WhiteBalloon, warehouse: Connection) -> None:
    (wrapper.cwd / "vars.yml").write_text("top_tags_limit: 3\n")
    wrapper.environ["SNAPSHOT_VARS"] = "vars.yml"
    assert copied(wrapper, warehouse) >= {COMMENTS, ANALYSES}


def test_replaced_characters_are_reported_although_the_table_is_not_copied(
    wrapper: Wrapper, loaded: WhiteBalloon
) -> None:
    said = wrapper.succeed("snapshot", "--all").stderr
    assert "table request_comments: 1 values held NUL or invalid UTF-8, replaced by U+FFFD" in said
