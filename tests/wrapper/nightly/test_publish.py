"""Rows are tested before they are published, and no selection, flag or broken row bypasses that."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, remember_parse
from tests.wrapper.faults.test_views_and_migrations import DAMAGE
from tests.wrapper.rules.test_rows import awkward_whiteballoon
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon

SNAPSHOTS = "signal_profiles.signal_profile_snapshots"
CANDIDATES = "signal_profiles_intermediate.int_snapshot_candidates"
DAMAGED = "update signal_profiles_intermediate.int_snapshot_candidates__dbt_tmp set message_count = message_count + 1"


def test_selection_of_a_part_builds_and_publishes_nothing(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    before = query(warehouse, f"select * from {SNAPSHOTS} order by user_id, group_slug")
    for arguments, missing in (
        # It has all tests, but a new member would get a snapshot and no bio inputs.
        (["--select", "+signal_profile_snapshots"], r"signal_profile_\w+"),
        (["--select", "int_link_stats+"], r"\w+"),
        (["--exclude", "attachment_kinds", "--indirect-selection", "cautious"], r"candidates_\w+|\w+_kinds"),
        (["--exclude", "candidates_have_sound_json", "test_type:unit"], "candidates_have_sound_json"),
    ):
        result = wrapper("dbt", "build", "--exclude-resource-type", "unit_test", *arguments)
        assert result.code == 1, arguments
        message = rf"Nothing is published in part or untested: one .* this one lacks {missing}; run `dbt build` without"
        assert re.search(message, result.stderr), result.stdout
        # Nothing was built either.
        assert "OK created" not in result.stdout
        assert query(warehouse, f"select * from {SNAPSHOTS} order by user_id, group_slug") == before


@pytest.mark.parametrize("name", ["int_link_stats", "attachment_kinds"])
def test_table_replaced_by_another_invocation_is_not_published(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection, name: str
) -> None:
    """This simulates another dbt that built a table or the seed after this run did."""
    awkward_whiteballoon(whiteballoon)
    replacement = f"comment on table signal_profiles_intermediate.{name} is 'built by dbt invocation x'"
    query(warehouse, DAMAGE.replace(DAMAGED, replacement))
    result = wrapper("snapshot", "--all")
    assert result.code == 1
    assert f"{name} was built by another dbt invocation: run `dbt build` without a selection" in result.stderr
    assert query(warehouse, f"select to_regclass('{SNAPSHOTS}')") == [(None,)]


def test_hashes_outlive_a_dropped_snapshots_table_and_show_works_without_them(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    hashes = "select * from signal_profiles.signal_profile_snapshot_hashes order by 1, 2"
    before = query(warehouse, hashes)
    query(warehouse, f"drop table {SNAPSHOTS} cascade")
    assert wrapper.snapshot("--user", "1")["unchanged"] == 2
    assert query(warehouse, f"select distinct user_id from {SNAPSHOTS}") == [(1,)]
    assert query(warehouse, hashes) == before
    # Until the hashes are stored again, the snapshots are shown without them.
    query(warehouse, "delete from signal_profiles.signal_profile_snapshot_hashes")
    assert re.search(
        r"^hash +not stored yet: the next run stores it *$", wrapper.succeed("show", "1").stdout, re.MULTILINE
    )
    shown = json.loads(wrapper.succeed("show", "1", "--json").stdout)
    assert [(card["snapshot_hash"], card["changed_at"]) for card in shown] == [(None, None)] * 2


def test_months_in_the_scope_of_a_run_are_replaced_only_where_they_differ(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    months = "signal_profiles.signal_profile_months"
    rows = f"select user_id, group_slug, month, message_count from {months} order by 1, 2, 3"
    before = query(warehouse, rows)
    # This member wrote in several months.
    user_id = max(before, key=lambda row: sum(other[0] == row[0] for other in before))[0]
    oldest = f"(select min(month) from {months} where user_id = {user_id})"
    kept = f"select xmin, ctid from {months} where user_id = {user_id} and month = {oldest}"
    row_kept = query(warehouse, kept)
    query(warehouse, f"update {months} set message_count = message_count + 1 where month > {oldest}")
    query(warehouse, f"insert into {months} select distinct user_id, group_slug, date '2099-01-01', 7 from {months}")
    assert query(warehouse, kept) == row_kept
    damaged = query(warehouse, rows)
    wrapper.snapshot("--user", str(user_id))
    after = query(warehouse, rows)
    assert [row for row in after if row[0] == user_id] == [row for row in before if row[0] == user_id]
    assert [row for row in after if row[0] != user_id] == [row for row in damaged if row[0] != user_id] != []
    assert query(warehouse, kept) == row_kept


@pytest.fixture(scope="module")
def candidates(
    server: Server, parsed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Callable[[str], str]]:
    """A warehouse with awkward rows, published and as candidates, and what dbt compiles a data test to, by its name."""
    folder = tmp_path_factory.mktemp("candidates")
    awkward_whiteballoon(WhiteBalloon(folder / "data"))
    remember_parse(folder, parsed)
    url = server.create_database("warehouse", "template awkward")
    Wrapper(folder, {"WAREHOUSE_URL": url, "PROFILE_SIGNAL_GLAZE": "1"}).snapshot("--all", "--dry-run")
    url = server.rename_database("warehouse", "candidates")

    def compiled(test: str) -> str:
        [path] = folder.glob(f"storage/dbt/*/snapshot/compiled/signal_profiles/**/{test}*.sql")
        # The compiled SQL names the database as it was called when dbt compiled it.
        return path.read_text().replace('"warehouse".', "")

    return url, compiled


@pytest.mark.parametrize(
    ("test", "damage"),
    [
        ("candidates_count_every_comment_once", "update {} set message_count = message_count + 1 where user_id = 3"),
        ("candidates_count_every_comment_once", "delete from {} where user_id = 3"),
        ("grain_int_snapshot_candidates_", "update {} set user_id = 3 where user_id = 4"),
        ("grain_int_snapshot_candidates_", "update {} set user_id = null where user_id = 3"),
        ("grain_int_snapshot_candidates_", "update {} set top_tags = null where user_id = 3"),
        ("candidates_are_memberships_with_comments", "delete from {} where user_id = 3"),
        ("candidates_are_memberships_with_comments", "update {} set group_slug = 'x' where user_id = 3"),
        ("months_add_up_to_message_counts", "update {} set message_count = message_count + 1 where user_id = 3"),
        ("months_add_up_to_message_counts", "delete from {} where user_id = 3"),
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
        ("candidates_have_sound_json", "update {} set attachment_counts = '{\"picture\": 1}' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[2, 1]' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[1, 1]' where user_id = 3"),
        ("candidates_have_sound_json", "update {} set request_ids = '[]' where user_id = 3"),
    ],
)  # fmt: skip
def test_every_data_test_on_damaged_candidates_finds_the_damage(
    candidates: tuple[str, Callable[[str], str]], test: str, damage: str
) -> None:
    url, compiled = candidates
    sql = compiled(test)
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.fetchall() == []
        cursor.execute(damage.replace("{}", CANDIDATES, 1))
        assert cursor.rowcount == 1
        cursor.execute(sql)
        assert cursor.fetchall() != []


@pytest.mark.parametrize(
    ("damage", "losses"),
    [
        ("update {candidates} set top_tags = '[]'", ["all tags, which 2 published snapshots have"]),
        ("update {candidates} set top_tags = '[]' where user_id = 3", []),
        # New tags of a member who had none do not make up for lost ones.
        (
            "update {candidates} set top_tags = case when user_id = 1 then jsonb_build_array(7) else '[]' end",
            ["all tags, which 2 published snapshots have"],
        ),
        (
            "delete from {candidates}",
            [
                "10 of 10 published snapshots",
                "all tags, which 2 published snapshots have",
                "all links, which 2 published snapshots have",
                "all reactions, which 3 published snapshots have",
                "all attachments, which 2 published snapshots have",
            ],
        ),
        (
            "delete from {candidates} where user_id <> 2",
            ["9 of 10 published snapshots", "all tags, which 2 published snapshots have"],
        ),
        ("delete from {candidates} where user_id in (1, 7, 8, 9)", []),
        ("delete from {candidates} where user_id in (1, 4, 7, 8, 9)", ["6 of 10 published snapshots"]),
        ("delete from {published} where user_id > 2; delete from {candidates}", []),
    ],
)
def test_loss_check_reports_a_collapse_and_accepts_an_ordinary_change(
    candidates: tuple[str, Callable[[str], str]], damage: str, losses: list[str]
) -> None:
    url, compiled = candidates
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(damage.format(candidates=CANDIDATES, published=SNAPSHOTS))
        cursor.execute(compiled("candidates_keep_what_is_published"))
        assert [loss for (loss,) in cursor] == losses


def test_role_that_owns_the_schemas_runs_without_rights_on_the_database(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]
) -> None:
    """An analyst's role that can only read can export."""
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


def test_grants_follow_the_two_role_vars_and_stay_as_they_are_without_them(
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
    build = ["dbt", "build", "--selector", "nightly"]
    roles = ["--vars", "{analyst_roles: [grants_analyst], bio_roles: [grants_bio]}"]
    wrapper.snapshot("--all")
    query(warehouse, f"grant select on {SNAPSHOTS} to grants_by_hand")
    # The var for one kind of reader revokes nothing from others.
    wrapper.succeed(*build, "--vars", "{analyst_roles: [grants_analyst]}")
    (analyst, for_analysts), by_hand = query(warehouse, readers)
    assert (analyst, by_hand) == ("grants_analyst", ("grants_by_hand", ["signal_profile_snapshots"]))
    again = wrapper.succeed(*build).stdout
    assert query(warehouse, readers) == [(analyst, for_analysts), by_hand]
    # dbt reports the view as unchanged, and did not drop it.
    assert re.search(r"OK created sql published_view model signal_profiles.signal_profile_links .*\[.*UNCHANGED", again)
    assert "DROP VIEW" not in again

    wrapper.succeed(*build, *roles)
    (bio, for_bios) = query(warehouse, readers)[1]
    assert query(warehouse, readers) == [(analyst, for_analysts), ("grants_bio", for_bios)]
    assert len(for_bios) == 14
    assert set(for_bios) - set(for_analysts) == {"signal_profile_bio_inputs"}
    query(warehouse, f"revoke select on {SNAPSHOTS} from grants_analyst")
    wrapper.succeed(*build, "--full-refresh", *roles)
    assert query(warehouse, readers) == [(analyst, for_analysts), (bio, for_bios)]
    query(warehouse, "drop owned by grants_analyst, grants_bio, grants_by_hand")
    query(warehouse, "drop role grants_analyst, grants_bio, grants_by_hand")
