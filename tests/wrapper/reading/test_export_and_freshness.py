"""The bio generator and the highlight store read only the published schema."""

import contextlib
import csv
import io
import json
import sqlite3
import threading
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query, wait_until
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper import SignalProfileSnapshot
from wrapper.dbt_project import PROJECT_DIR
from wrapper.nightly.hashes import store_hashes
from wrapper.scope import Scope
from wrapper.settings import read_settings

FRESHNESS = "signal_profiles.signal_profile_highlight_freshness"


def users(found: list[dict[str, Any]]) -> list[int]:
    return [line["snapshot"]["user_id"] for line in found]


@pytest.fixture
def members(whiteballoon: WhiteBalloon) -> WhiteBalloon:
    """Four members with one message each, on the 18th of March 2024 at noon."""
    whiteballoon.group(1, 2, 3, 4)
    for user in (1, 2, 3, 4):
        whiteballoon.comment(user, "hello", tags=['["food", 7, " "]', "a,, b", None])
    return whiteballoon


def highlight(whiteballoon: WhiteBalloon, user: int, snapshot_hash: str, stale_after: str | None = None) -> None:
    whiteballoon.execute(
        "insert into user_profile_highlights (user_id, source_group, snapshot_hash, snapshot_last_seen_at, "
        "stale_after, is_stale, manual_override) values (?, 'g', ?, '2024-03-18 12:00:00', ?, 0, 0)",
        user, snapshot_hash, stale_after,
    )  # fmt: skip


def test_export_and_freshness_before_the_first_run_fail_with_one_line(wrapper: Wrapper, members: WhiteBalloon) -> None:
    for command in ("export", "freshness"):
        nothing = wrapper(command)
        assert (nothing.code, nothing.stdout) == (2, "")
        assert nothing.stderr == "wrapper: nothing is published yet: run wrapper snapshot --all first\n"
    for moment in ("yesterday", "2024-13-01", ""):
        refused = wrapper("export", "--csv", "--changed-since", moment)
        assert (refused.code, refused.stdout) == (2, "")
        assert refused.stderr.startswith(
            f"wrapper: Invalid value for '--changed-since': {moment!r} is not a timestamp like "
        )


def test_export_and_freshness_after_a_scoped_run_name_the_bios_to_rewrite(
    wrapper: Wrapper, members: WhiteBalloon, warehouse: Connection
) -> None:
    wrapper.snapshot("--all")
    exported = wrapper.export()
    assert users(exported) == [1, 2, 3, 4]
    assert exported[0]["analyses"] == [
        {
            "comment_id": 1, "help_request_id": 1, "run_id": "", "summary": "", "resource_tags": ["food"],
            "request_tags": ["a", "b"], "audience": "", "residency_stage": "", "location": "",
            "location_precision": "", "urgency": "", "sentiment": "", "tags": [], "notes": "", "recorded_at": "",
        }
    ]  # fmt: skip
    stored = query(warehouse, "select user_id, snapshot_hash from signal_profiles.signal_profile_snapshot_hashes")
    assert sorted(stored) == [(line["snapshot"]["user_id"], line["snapshot_hash"]) for line in exported]
    assert users(wrapper.export("--user", "2", "--group-slug", "g")) == [2]

    # Bios are written for three of them; one goes stale by its date, another when its member writes.
    for line in exported[:3]:
        highlight(members, line["snapshot"]["user_id"], line["snapshot_hash"])
    members.execute("update user_profile_highlights set stale_after = '2024-01-01 00:00:00' where user_id = 1")
    members.comment(2, "more", at="2024-03-19 12:00:00")
    # A run of any group publishes the whole highlight store.
    between = query(warehouse, "select now()")[0][0].isoformat()
    assert wrapper.snapshot("--user", "2")["changed"] == 1
    assert users(wrapper.export("--changed-since", between)) == [2]
    assert users(wrapper.export("--stale")) == [1, 2, 4]
    found = json.loads(wrapper.succeed("freshness", "--json").stdout)
    assert found == {
        "counts": {"never-glazed": 1, "new-messages": 1, "stale-after": 1, "up-to-date": 1},
        "to_rewrite": [
            {"user_id": 1, "group_slug": "g", "reason": "stale-after"},
            {"user_id": 2, "group_slug": "g", "reason": "new-messages"},
            {"user_id": 4, "group_slug": "g", "reason": "never-glazed"},
        ],
    }
    for_people = wrapper.succeed("freshness").stdout.splitlines()
    assert [line.rstrip() for line in for_people] == [
        "3 of 4 members need a new bio.",
        "",
        "bios  reason        meaning",
        "   1  never-glazed  missing: none has been written yet",
        "   1  new-messages  stale: new messages since it was written",
        "   1  stale-after   stale: its date of expiry has passed",
        "   1  up-to-date    fresh: the snapshot has not changed since it was written",
        "",
        "user  group to write it from  reason",
        "   1  g                       stale-after",
        "   2  g                       new-messages",
        "   4  g                       never-glazed",
    ]


def test_csv_export_has_the_snapshots_with_json_as_it_is_hashed(hostile: Wrapper) -> None:
    text = hostile.succeed("export", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    lines = hostile.export()
    assert list(rows[0]) == [*lines[0]["snapshot"], "snapshot_hash"]
    for row, line in zip(rows, lines, strict=True):
        assert row.pop("snapshot_hash") == line["snapshot_hash"]
        assert (row["group_slug"], row["top_tags"]) == (
            line["snapshot"]["group_slug"],
            json.dumps(line["snapshot"]["top_tags"], sort_keys=True),
        )
        texts = ("group_slug", "first_seen_at", "last_seen_at")
        values = {name: value if name in texts else json.loads(value) for name, value in row.items()}
        assert SignalProfileSnapshot.from_dict(values).snapshot_hash() == line["snapshot_hash"]
    header = hostile.succeed("export", "--csv", "--changed-since", "2100-01-01").stdout
    assert header == text.splitlines(keepends=True)[0]


def test_bio_in_any_session_time_zone_goes_stale_at_its_time_in_utc(
    wrapper: Wrapper, members: WhiteBalloon, warehouse: Connection
) -> None:
    """An hour from now is in the future and an hour ago is past, whatever the session's time zone is."""
    for user, shift in ((1, "+1 hour"), (2, "-1 hour")):
        (moment,) = members.app.execute("select datetime('now', ?)", (shift,)).fetchone()
        highlight(members, user, "0" * 64, moment)
    wrapper.snapshot("--all")
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        query(warehouse, f"set time zone '{zone}'")
        found = query(warehouse, f"select user_id, reason from {FRESHNESS} where user_id < 3 order by 1")
        assert found == [(1, "snapshot-mismatch"), (2, "stale-after")], zone


def test_analyses_with_few_columns_are_loaded_and_exported(wrapper: Wrapper, members: WhiteBalloon) -> None:
    members.analyses.executescript(
        "drop table comment_llm_analyses;"
        "create table comment_llm_analyses (comment_id integer primary key, resource_tags, request_tags, tags);"
        "insert into comment_llm_analyses values (1, 'food', null, null);"
    )
    wrapper.snapshot("--all")
    assert [line["analyses"][:1] and line["analyses"][0]["resource_tags"] for line in wrapper.export()] == [
        ["food"], [], [], [],
    ]  # fmt: skip


def test_export_names_each_unknown_user_and_slug(example: Wrapper) -> None:
    refused = example(
        "export", "--user", "1", "--user", "998", "--user", "999", "--group-slug", "nope", "--group-slug", "rides:north"
    )
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "wrapper: --user 998, --user 999, --group-slug 'nope' have neither a membership nor a published snapshot\n"
    )
    # A member who has not written is known.
    assert example.export("--user", "47") == []


def test_export_lines_of_the_example_are_valid_and_in_order(example: Wrapper) -> None:
    schema = json.loads((PROJECT_DIR / "schemas" / "signal_profile_snapshot.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    with contextlib.closing(sqlite3.connect(example.cwd / "data" / "app.db")) as app:
        sent = dict(app.execute("select id, created_at from request_comments"))
    exported = example.export()
    assert len(exported) > 80
    for line in exported:
        assert list(line) == ["snapshot", "snapshot_hash", "analyses"]
        validator.validate(line["snapshot"])
        for counts in (line["snapshot"]["reaction_counts"], line["snapshot"]["attachment_counts"]):
            assert list(counts) == sorted(counts)
        comments = [analysis["comment_id"] for analysis in line["analyses"]]
        assert len(comments) <= 12
        # The latest first.
        assert comments == sorted(comments, key=lambda comment: (sent[comment], comment), reverse=True)
    assert any(len(line["analyses"]) > 1 for line in exported)
    assert any(len(line["snapshot"]["reaction_counts"]) > 1 for line in exported)


def test_stale_export_of_a_member_of_several_groups_is_one_line(example: Wrapper) -> None:
    freshness = json.loads(example.succeed("freshness", "--json").stdout)
    stale = [(line["snapshot"]["user_id"], line["snapshot"]["group_slug"]) for line in example.export("--stale")]
    assert stale == [(row["user_id"], row["group_slug"]) for row in freshness["to_rewrite"]]
    everybody = {line["snapshot"]["user_id"] for line in example.export()}
    assert len(stale) == len(dict(stale)) < sum(freshness["counts"].values()) == len(everybody)


def test_flat_views_hold_what_the_snapshots_hold(example: Wrapper) -> None:
    connection = psycopg2.connect(example.environ["WAREHOUSE_URL"])
    exported = [line["snapshot"] for line in example.export()]

    def rows(relation: str, columns: str) -> list[tuple[Any, ...]]:
        return sorted(query(connection, f"select user_id, group_slug, {columns} from signal_profiles.{relation}"))

    def entries(column: str) -> Any:
        return ((s["user_id"], s["group_slug"], *entry) for s in exported for entry in _entries(s[column]))

    assert rows("signal_profile_links", "link_rank, url, domain, link_count") == sorted(entries("top_links"))
    assert rows("signal_profile_tags", "tag_rank, label, tag_count") == sorted(entries("top_tags"))
    assert rows("signal_profile_reactions", "emoji, reaction_count") == sorted(entries("reaction_counts"))
    assert rows("signal_profile_attachments", "kind, attachment_count") == sorted(entries("attachment_counts"))
    groups = query(connection, 'select * from signal_profiles.signal_profile_groups order by group_slug collate "C"')
    assert [group[0] for group in groups] == sorted({s["group_slug"] for s in exported})
    for slug, members_, messages, first, last, urls in groups:
        inside = [s for s in exported if s["group_slug"] == slug]
        assert (members_, messages) == (len(inside), sum(s["message_count"] for s in inside))
        assert first.isoformat() == min(s["first_seen_at"] for s in inside)
        assert last.isoformat() == max(s["last_seen_at"] for s in inside)
        assert urls == len({link["url"] for s in inside for link in s["top_links"]})
    connection.close()


def _entries(value: Any) -> Any:
    if isinstance(value, dict):
        return value.items()
    return ((rank, *entry.values()) for rank, entry in enumerate(value, start=1))


def test_export_to_a_reader_that_stops_holds_no_transaction_open(example_copy: Wrapper) -> None:
    """An open transaction would hold back vacuum in WhiteBalloon's own database for as long as the reader takes."""
    with contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])) as warehouse:
        warehouse.autocommit = True
        # More than a pipe holds, and more than is fetched at once.
        query(
            warehouse,
            """
            insert into signal_profiles.signal_profile_snapshots
            select
                n, 'many', 1, now(), now(), '[]', '[]', '{}', jsonb_build_object(repeat('x', 500), n), '[1]'
            from generate_series(1, 3000) as t (n)
            """,
        )
        process = example_copy.start("export", "--group-slug", "many")
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        sessions = "select state, xact_start, backend_xmin from pg_stat_activity where pid <> pg_backend_pid() and {}"
        of_export = sessions.format("application_name = 'signal-profile-snapshots'")
        wait_until(lambda: query(warehouse, of_export) == [("idle", None, None)], seconds=10)
        lines += process.stdout.readlines()
    assert process.wait() == 0
    assert [json.loads(line)["snapshot"]["user_id"] for line in lines] == list(range(1, 3001))


def test_polls_beside_a_run_that_stores_hashes_miss_no_change(example_copy: Wrapper) -> None:
    """The first poll starts while the hashes are being stored; it or the next one has the change, or both."""
    settings = read_settings(example_copy.environ)
    with contextlib.ExitStack() as stack:
        analyst, blocker, run = (
            stack.enter_context(contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])))
            for _ in range(3)
        )
        # If the test fails, the thread must end before its connection can be closed.
        stack.callback(blocker.rollback)
        analyst.autocommit = True
        now = "select clock_timestamp()"
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        before = query(analyst, now)[0][0].isoformat()
        query(analyst, "update signal_profiles.signal_profile_snapshots set message_count = 999999 where user_id = 2")
        query(blocker, "lock table signal_profiles.signal_profile_snapshot_hashes in share mode")
        storing = threading.Thread(target=store_hashes, args=(run, settings, Scope(), "a run", False, lambda *_: None))
        storing.start()
        wait_until(lambda: query(analyst, waiting) == [(1,)])
        polled_at = query(analyst, now)[0][0].isoformat()
        first = example_copy.start("export", "--changed-since", before)
        # The poll ends, or waits for the hashes to be stored.
        wait_until(lambda: first.poll() is not None or query(analyst, waiting) == [(2,)])
        blocker.rollback()
        storing.join()
    printed, _ = first.communicate()
    found = [json.loads(line) for line in printed.splitlines()] + example_copy.export("--changed-since", polled_at)
    (change,) = example_copy.export("--user", "2")
    assert found in ([change], [change, change])


def test_command_with_a_closed_output_pipe_succeeds(example: Wrapper) -> None:
    for command in (["export"], ["freshness"], ["show", "1"], ["status", "--json"]):
        process = example.start(*command)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == ("", 0), command
