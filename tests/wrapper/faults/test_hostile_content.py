"""No run fails because of what somebody wrote: one run covers all entries, and each entry's rows follow the rules."""

import hashlib
import json
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.faults.hostile import ENTRIES, HOSTILE_NAMES, NOON, WHITE_SPACE, Entry, Rows
from tests.wrapper.rules.test_rows import row
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper import SignalProfileSnapshot

_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"


class Corpus:
    """All entries in one WhiteBalloon, after one run over all of them."""

    def __init__(self, folder: Path, url: str) -> None:
        whiteballoon = WhiteBalloon(folder / "data")
        self.expected: dict[str, Rows] = {
            entry.name: entry.fill(whiteballoon, 10 * number) for number, entry in enumerate(ENTRIES, 1)
        }
        wrapper = Wrapper(folder, {"WAREHOUSE_URL": url, "PROFILE_SIGNAL_GLAZE": "on"})
        self.entry = wrapper.snapshot("--all")
        self.exported: list[dict[str, Any]] = [
            json.loads(line) for line in wrapper.succeed("export").stdout.split("\n") if line
        ]
        connection = psycopg2.connect(url)
        self.stored_hashes = {
            (user_id, slug): stored
            for user_id, slug, stored in query(
                connection,
                "select user_id, group_slug, snapshot_hash from signal_profiles.signal_profile_snapshot_hashes",
            )
        }
        connection.close()


@pytest.fixture(scope="module")
def corpus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("hostile"), server.create_database("hostile_content"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_rows_of_hostile_content_are_what_the_rules_say(corpus: Corpus, entry: Entry) -> None:
    for user_id, rows in corpus.expected[entry.name].items():
        assert [line["snapshot"] for line in corpus.exported if line["snapshot"]["user_id"] == user_id] == rows


def test_run_over_hostile_content_publishes_no_other_rows(corpus: Corpus) -> None:
    expected = [found for rows in corpus.expected.values() for entry in rows.values() for found in entry]
    assert len(corpus.exported) == len(expected) == corpus.entry["generated"]
    # One member's group name has no chat, and another's only comment is on a request that does not exist.
    assert corpus.entry["skipped"] == 2


def test_hashes_of_hostile_content_are_those_of_the_payloads(corpus: Corpus) -> None:
    for line in corpus.exported:
        payload = line["snapshot"]
        expected = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        assert line["snapshot_hash"] == expected
        assert SignalProfileSnapshot.from_dict(payload).snapshot_hash() == expected
        assert corpus.stored_hashes.pop((payload["user_id"], payload["group_slug"])) == expected
    assert corpus.stored_hashes == {}


def test_run_with_hostile_slugs_as_scope_writes_and_deletes_their_files(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    slugs = [*HOSTILE_NAMES, "outside"]
    expected = []
    for user_id, slug in enumerate(slugs, 1):
        whiteballoon.member(user_id, slug, None)
        whiteballoon.request(user_id, f"[Signal] {slug.strip(WHITE_SPACE)}")
        whiteballoon.comment(user_id, "x", request_id=user_id)
        expected.append(row(user_id, slug, 1, NOON, NOON, [user_id]))
    del slugs[-1], expected[-1]
    scope = [f"--group-slug={slug}" for slug in slugs]
    entry = wrapper.snapshot("--all", *scope, "--output-dir", "out")
    assert (entry["group_slugs"], entry["generated"], entry["changed"]) == (slugs, len(slugs), len(slugs))
    exported = wrapper.succeed("export").stdout
    assert [json.loads(line)["snapshot"] for line in exported.split("\n") if line] == expected
    assert wrapper.succeed("export", *scope).stdout == exported
    assert {path.name: json.loads(path.read_text()) for path in (wrapper.cwd / "out").iterdir()} == {
        f"{found['user_id']}-{encoded(found['group_slug'])}.json": found for found in expected
    }

    # A run finds the files of hostile slugs again, and deletes them with their rows.
    whiteballoon.execute("delete from request_comments")
    removed = wrapper.snapshot("--all", *scope, "--accept-losses", "--output-dir", "out")["removed"]
    assert removed == len(slugs)
    assert list((wrapper.cwd / "out").iterdir()) == []


def encoded(slug: str) -> str:
    return "".join(
        character if character in _SAFE else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in slug
    )
