"""If nothing has changed since the last run, a run builds nothing; after any kind of change, it builds."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.pages import copy_clone
from tests.wrapper.rules.test_rows import exported
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR
from wrapper.nightly import unchanged
from wrapper.nightly.unchanged import Unit
from wrapper.scope import Scope
from wrapper.settings import Settings, read_settings

SNAPSHOTS = "signal_profiles.signal_profile_snapshots"
CONTENTS = """
select (select array_agg(xmin || t::text order by user_id, group_slug) from {0}.signal_profile_snapshots as t)::text,
    (select array_agg(t::text order by user_id, group_slug) from {0}.signal_profile_bio_inputs as t)::text,
    (select array_agg(t::text order by user_id, group_slug) from {0}.signal_profile_snapshot_hashes as t)::text,
    (select array_agg(t::text order by user_id, group_slug, month) from {0}.signal_profile_months as t)::text
""".format("signal_profiles")
EDITS = [
    f"update {SNAPSHOTS} set message_count = message_count + 1 where user_id = 3",
    # The row is written again with the same values.
    f"update {SNAPSHOTS} set message_count = message_count where user_id = 3",
    f"delete from {SNAPSHOTS} where user_id = 3",
    f"truncate {SNAPSHOTS}",
    f"alter table {SNAPSHOTS} add column more text",
    f"drop table {SNAPSHOTS} cascade",
    "update signal_profiles.signal_profile_snapshot_hashes set snapshot_hash = 'x' where user_id = 3",
    "delete from signal_profiles.signal_profile_snapshot_hashes where user_id = 3",
    "update signal_profiles.signal_profile_bio_inputs set analyses = '[]' where user_id = 3",
    "delete from signal_profiles.signal_profile_memberships where user_id = 3",
    "delete from signal_profiles.signal_profile_months where user_id = 3",
    "update signal_profiles.signal_profile_months set message_count = message_count + 1 where user_id = 3",
    "insert into signal_profiles.signal_profile_months values (3, 'gone', '2024-01-01', 7)",
    "drop view signal_profiles.signal_profile_links cascade",
    "create or replace view signal_profiles.signal_profile_reactions as "
    f"select user_id, group_slug, 'x'::text as emoji, message_count as reaction_count from {SNAPSHOTS}",
    f"grant select on {SNAPSHOTS} to pg_monitor",
    "drop table signal_profiles_intermediate.last_builds",
    "drop schema signal_profiles_intermediate cascade",
]


@pytest.fixture
def settings(wrapper: Wrapper) -> Settings:
    return read_settings(wrapper.environ)


def test_run_when_nothing_has_changed_builds_nothing(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    before = query(warehouse, CONTENTS)
    entry = wrapper.snapshot("--all", "--output-dir", "out")
    assert (entry["status"], entry["built"], entry["target_users"], entry["attempted"]) == ("success", False, 10, 11)
    assert (entry["generated"], entry["skipped"], entry["changed"], entry["unchanged"]) == (10, 1, 0, 10)
    assert query(warehouse, CONTENTS) == before
    assert len(list((wrapper.cwd / "out").iterdir())) == 10

    rebuilt = wrapper.snapshot("--all", "--rebuild")
    assert rebuilt["built"] is True
    assert rebuilt["snapshots_digest"] == entry["snapshots_digest"]
    # The next run builds nothing either, although a change was made and undone.
    comment_id = awkward.comment(3, "more")
    awkward.execute("delete from request_comments where id = ?", comment_id)
    assert wrapper.snapshot("--all")["built"] is False


def test_scoped_run_is_built_once_until_another_run_replaces_its_rows(wrapper: Wrapper, awkward: WhiteBalloon) -> None:
    assert wrapper.snapshot("--group-slug", "tools")["built"] is True
    assert wrapper.snapshot("--group-slug", "tools")["built"] is False
    # The rows were replaced in between.
    assert wrapper.snapshot("--all")["built"] is True
    assert wrapper.snapshot("--group-slug", "tools")["built"] is True


@pytest.mark.parametrize("edit", EDITS)
def test_published_unit_after_an_edit_by_hand_is_not_taken_as_unchanged(
    awkward: WhiteBalloon, warehouse: Connection, settings: Settings, edit: str
) -> None:
    [(inputs,)] = query(
        warehouse, "select inputs from signal_profiles_intermediate.last_builds where counts ->> 'generated' = '10'"
    )
    warehouse.autocommit = False
    with warehouse.cursor() as cursor:
        assert unchanged.recall(cursor, settings, Unit.SNAPSHOTS, Scope(), inputs) is not None
        assert unchanged.recall(cursor, settings, Unit.SNAPSHOTS, Scope((3,)), inputs) is None
        assert unchanged.recall(cursor, settings, Unit.SNAPSHOTS, Scope(), "other inputs") is None
        cursor.execute(edit)
        assert unchanged.recall(cursor, settings, Unit.SNAPSHOTS, Scope(), inputs) is None
    warehouse.rollback()


def test_run_after_the_rules_change_or_change_back_builds(
    wrapper: Wrapper, awkward: WhiteBalloon, tmp_path: Path
) -> None:
    expected = exported(wrapper)
    clone = tmp_path / "clone"
    clone.mkdir()
    copy_clone(clone)
    project = clone / "dbt_project.yml"
    project.write_text(project.read_text().replace("top_tags_limit: 5", "top_tags_limit: 1"))
    assert wrapper.snapshot("--all", PYTHONPATH=str(clone))["built"] is True
    assert max(len(row["top_tags"]) for row in exported(wrapper)) == 1
    assert wrapper.snapshot("--all")["built"] is True
    assert exported(wrapper) == expected


@pytest.mark.parametrize(
    "name",
    [
        "dbt_project.yml",
        "macros/messages/links.sql",
        "models/intermediate/int_messages.sql",
        "profiles.yml",
        "seeds/attachment_kinds.csv",
        "selectors.yml",
        "tests/intermediate/candidates_have_sound_json.sql",
        "wrapper/snapshot.py",
        "wrapper/nightly/load.py",
    ],
)
def test_project_digest_changes_when_a_project_file_changes_or_is_deleted(tmp_path: Path, name: str) -> None:
    copy_clone(tmp_path)
    folders = [tmp_path / "wrapper", tmp_path]
    before = unchanged.project_digest(folders)
    assert before == unchanged.project_digest([PROJECT_DIR / "wrapper", PROJECT_DIR])
    (tmp_path / "README.md").write_text("other")
    assert unchanged.project_digest(folders) == before
    path = tmp_path / name
    shutil.copy(path, tmp_path / "saved")
    path.write_text(path.read_text() + "\n")
    assert unchanged.project_digest(folders) != before
    shutil.copy(tmp_path / "saved", path)
    assert unchanged.project_digest(folders) == before
    path.unlink()
    assert unchanged.project_digest(folders) != before


@pytest.fixture
def in_place(
    whiteballoon: WhiteBalloon, make_database: Callable[[], str]
) -> Iterator[tuple[Connection, unchanged.Inputs]]:
    """A WhiteBalloon on Postgres with a member and a comment, and the inputs of runs over it."""
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    url = make_database()
    whiteballoon.copy_to_postgres(url)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    settings = read_settings({"DATABASE_URL": url, "WB_SCHEMA": "wb"})
    yield connection, unchanged.Inputs(settings, {}, {"comment_llm_analyses": "digest"})
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "update wb.request_comments set body = 'other'",
        "update wb.request_comments set body = 'other'; update wb.request_comments set body = 'hello'",
        "update wb.user_attributes set value = value",
        "delete from wb.help_requests",
        "insert into wb.request_comments select * from wb.request_comments",
        "truncate wb.request_comments",
        "alter table wb.request_comments alter column created_at type timestamptz",
        "alter table wb.request_comments rename column body to title; alter table wb.request_comments add body varchar",
    ],
)
def test_inputs_digest_changes_after_every_kind_of_write_to_whiteballoons_tables(
    in_place: tuple[Connection, unchanged.Inputs], change: str
) -> None:
    connection, inputs = in_place
    with connection.cursor() as cursor:
        before = inputs.digest(cursor, Unit.SNAPSHOTS)
        assert before is not None
        cursor.execute("insert into wb.help_requests (id) values (7)")
        cursor.execute("analyze wb.request_comments")
        grown = inputs.digest(cursor, Unit.SNAPSHOTS)
        assert grown not in (None, before)
        assert inputs.digest(cursor, Unit.SNAPSHOTS) == grown
        cursor.execute(change)
        assert inputs.digest(cursor, Unit.SNAPSHOTS) not in (None, grown)


def test_inputs_digest_with_a_view_in_place_of_a_table_is_none(in_place: tuple[Connection, unchanged.Inputs]) -> None:
    connection, inputs = in_place
    with connection.cursor() as cursor:
        cursor.execute("alter table wb.request_comments rename to stored")
        cursor.execute("create view wb.request_comments as select * from wb.stored")
        assert inputs.digest(cursor, Unit.SNAPSHOTS) is None
