"""Test, then publish: what a selection, a flag or a broken row may never do to the published table."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.servers import Server
from tests.wrapper.test_rows import awkward_whiteballoon
from tests.wrapper.whiteballoon import WhiteBalloon

SNAPSHOTS = "signal_profiles.signal_profile_snapshots"
CANDIDATES = "signal_profiles_intermediate.int_snapshot_candidates"


def test_no_selection_publishes_a_part_as_the_whole(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    before = query(warehouse, f"select * from {SNAPSHOTS} order by user_id, group_slug")
    # What a scoped dry run leaves behind is one member's.
    wrapper.snapshot("--user", "1", "--dry-run")
    for arguments, reason in (
        (
            ["build", "--select", "resource_type:test", "signal_profile_snapshots", "--vars", "{user_ids: [1]}"],
            "is of another invocation: build everything in one",
        ),
        (["run"], "Nothing is published without its tests"),
        (["build", "--exclude-resource-type", "test"], "Nothing is published without its tests"),
    ):
        result = wrapper("dbt", *arguments)
        assert result.code == 1, arguments
        assert reason in result.stdout + result.stderr, arguments
        assert query(warehouse, f"select * from {SNAPSHOTS} order by user_id, group_slug") == before


def test_hashes_follow_the_published_rows_whatever_happened_to_them(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    query(warehouse, f"drop table {SNAPSHOTS} cascade")
    wrapper.snapshot("--user", "1")
    keys = "select user_id, group_slug from signal_profiles.{} order by 1, 2"
    rows = query(warehouse, keys.format("signal_profile_snapshots"))
    assert len(rows) == 2
    assert query(warehouse, keys.format("signal_profile_snapshot_hashes")) == rows
    # Who looks before the hashes are stored again sees the snapshots all the same.
    query(warehouse, "delete from signal_profiles.signal_profile_snapshot_hashes")
    assert re.search(
        r"^hash +not stored yet: the next run does it *$", wrapper.succeed("show", "1").stdout, re.MULTILINE
    )
    shown = json.loads(wrapper.succeed("show", "1", "--json").stdout)
    assert [(card["snapshot_hash"], card["changed_at"]) for card in shown] == [(None, None)] * 2


@pytest.fixture(scope="module")
def candidates(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A warehouse with the candidates of awkward rows, and the folder of dbt's compiled data tests."""
    folder = tmp_path_factory.mktemp("candidates")
    wrapper = Wrapper(folder, {"WAREHOUSE_URL": server.create_database("candidates")})
    awkward_whiteballoon(WhiteBalloon(folder / "data"))
    wrapper.snapshot("--all", "--dry-run")
    (compiled,) = folder.glob("storage/dbt/*/snapshot/compiled/signal_profiles/tests/intermediate")
    return wrapper.environ["WAREHOUSE_URL"], compiled


@pytest.mark.parametrize(
    ("test", "damage"),
    [
        ("candidates_count_every_comment_once", "update {} set message_count = message_count + 1 where user_id = 3"),
        ("candidates_count_every_comment_once", "delete from {} where user_id = 3"),
        ("candidates_are_memberships_with_comments", "delete from {} where user_id = 3"),
        ("candidates_are_memberships_with_comments", "update {} set group_slug = 'x' where user_id = 3"),
        ("candidates_have_sound_scalars", "update {} set group_slug = '' where user_id = 3"),
        ("candidates_have_sound_scalars", "update {} set message_count = 0 where user_id = 3"),
        ("candidates_have_sound_scalars", "update {} set first_seen_at = last_seen_at + '1 s' where user_id = 3"),
        ("candidates_have_ordered_tops", "update {} set top_links = top_links - 0 where user_id = 3"),
        ("candidates_have_ordered_tops", "update {} set top_tags = top_tags - 4 where user_id = 3"),
        (
            "candidates_have_ordered_tops",
            "update {} set top_tags = jsonb_build_array(top_tags -> 1, top_tags -> 0) where user_id = 3",
        ),
        *(
            ("candidates_have_sound_json", f"update {{}} set top_links = '[{link}]' where user_id = 3")
            for link in (
                "{}", "7", '"x"', '{"url": "https://a/", "domain": "a"}', '{"domain": "a", "count": 1}',
                '{"url": "https://a/", "domain": "", "count": 1}', '{"url": "https://u@a/", "domain": "a", "count": 1}',
                '{"url": "https://a", "domain": "a", "count": 1}', '{"url": "https://a/", "domain": "a", "count": 0}',
                '{"url": "https://a/", "domain": "a", "count": 1.5}',
                '{"url": "https://a/", "domain": "a", "count": "1"}',
                '{"url": "https://a/", "domain": "a", "count": 1, "more": 1}',
            )
        ),
        *(
            ("candidates_have_sound_json", f"update {{}} set top_tags = '[{tag}]' where user_id = 3")
            for tag in ("{}", '{"label": "a"}', '{"label": " ", "count": 1}', '{"label": null, "count": 1}', "null")
        ),
        ("candidates_have_sound_json", "update {} set reaction_counts = '{\"a\": 0}' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set attachment_counts = '{\"image\": null}' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[2, 1]' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[1, 1]' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[]' where user_id = 3"),
    ],
)  # fmt: skip
def test_every_data_test_sees_what_it_is_for(candidates: tuple[str, Path], test: str, damage: str) -> None:
    url, compiled = candidates
    sql = (compiled / f"{test}.sql").read_text()
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.fetchall() == []
        cursor.execute(damage.replace("{}", CANDIDATES, 1))
        assert cursor.rowcount == 1
        cursor.execute(sql)
        assert cursor.fetchall() != []
    connection.close()


def test_a_role_that_owns_the_schemas_needs_no_right_on_the_database(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]
) -> None:
    """And an analyst who may only read can export."""
    awkward_whiteballoon(whiteballoon)
    url = make_database()
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create role owner login; create role analyst login")
        for suffix in ("", "_source", "_intermediate"):
            cursor.execute(f"create schema signal_profiles{suffix} authorization owner")
    wrapper.environ["WAREHOUSE_URL"] = url.replace("postgres@", "owner@")
    wrapper.snapshot("--all")
    with connection.cursor() as cursor:
        cursor.execute("grant usage on schema signal_profiles to analyst")
        cursor.execute("grant select on all tables in schema signal_profiles to analyst")
    wrapper.environ["WAREHOUSE_URL"] = url.replace("postgres@", "analyst@")
    assert len(wrapper.succeed("export").stdout.splitlines()) == 10
    assert wrapper("snapshot", "--all").code == 2
    connection.close()


def test_grants_come_from_two_vars_and_are_left_alone_without(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    awkward_whiteballoon(whiteballoon)
    for role in ("grants_analyst", "grants_bio", "grants_by_hand"):
        query(warehouse, f"create role {role}")
    readers = """
        select role, array_agg(relname::text order by relname)
        from unnest(array['grants_analyst', 'grants_bio', 'grants_by_hand']) as role
        inner join pg_class on relnamespace = 'signal_profiles'::regnamespace and relkind in ('r', 'v')
        where has_table_privilege(role, pg_class.oid, 'select')
        group by role order by role
    """
    build = ["dbt", "build", "--exclude-resource-type", "unit_test"]
    roles = ["--vars", "{analyst_roles: [grants_analyst], bio_roles: [grants_bio]}"]
    wrapper.snapshot("--all")
    query(warehouse, f"grant select on {SNAPSHOTS} to grants_by_hand")
    wrapper.succeed(*build)
    assert query(warehouse, readers) == [("grants_by_hand", ["signal_profile_snapshots"])]

    wrapper.succeed(*build, *roles)
    (analyst, for_analysts), (bio, for_bios) = query(warehouse, readers)
    assert (analyst, bio) == ("grants_analyst", "grants_bio")
    assert len(for_bios) == 12
    assert set(for_bios) - set(for_analysts) == {"signal_profile_bio_inputs"}
    query(warehouse, f"revoke select on {SNAPSHOTS} from grants_analyst")
    wrapper.succeed(*build, "--full-refresh", *roles)
    assert query(warehouse, readers) == [(analyst, for_analysts), (bio, for_bios)]
    query(warehouse, "drop owned by grants_analyst, grants_bio, grants_by_hand")
    query(warehouse, "drop role grants_analyst, grants_bio, grants_by_hand")
