"""Files in --output-dir have valid names, stale ones are deleted, and one that cannot be written stops no other."""

import hashlib
from datetime import datetime
from pathlib import Path

import pytest

from wrapper import SignalProfileSnapshot
from wrapper.errors import ConfigurationError
from wrapper.nightly.snapshot_files import file_name, write_files
from wrapper.scope import Scope

# 42 Cyrillic letters, percent-encoded, are 252 bytes.
LONG = "щ" * 42
DIGEST = hashlib.sha256(LONG.encode()).hexdigest()


def snapshot(user_id: int, slug: str) -> SignalProfileSnapshot:
    moment = datetime(2024, 3, 18)
    return SignalProfileSnapshot(user_id, slug, 1, moment, moment, (), (), {}, {}, (1,))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_file_name_that_would_be_too_long_has_a_digest_for_its_slug() -> None:
    assert file_name(1, "a/é ~%b") == "1-a%2F%C3%A9%20%7E%25b.json"
    assert file_name(-12, LONG) == f"-12-~{DIGEST}.json"
    # 255 bytes are not too long.
    assert file_name(1, "x" * 248) == "1-" + "x" * 248 + ".json"
    assert file_name(1, "x" * 249).startswith("1-~")


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Scope(), {f"1-~{DIGEST}.json", "1-g.json"}),
        (Scope(user_ids=(1,)), {f"1-~{DIGEST}.json", "1-g.json", f"2-~{DIGEST}.json", "2-g.json"}),
        (Scope(group_slugs=(LONG,)), {f"1-~{DIGEST}.json", "1-g.json", "2-g.json"}),
        (Scope(group_slugs=("g",)), {f"1-~{DIGEST}.json", "1-g.json", f"2-~{DIGEST}.json"}),
    ],
)
def test_files_of_removed_snapshots_are_deleted_only_in_the_scope(tmp_path: Path, scope: Scope, left: set[str]) -> None:
    everything = [snapshot(user_id, slug) for user_id in (1, 2) for slug in (LONG, "g")]
    write_files(tmp_path, everything, Scope())
    assert names(tmp_path) == {f"{user}-{slug}.json" for user in (1, 2) for slug in (f"~{DIGEST}", "g")}
    others = {f"01-~{DIGEST}.json", f"1-~{DIGEST[1:]}.json", f"1-~{DIGEST.upper()}.json", f"{2**63}-~{DIGEST}.json"}
    for name in others:
        (tmp_path / name).touch()
    write_files(
        tmp_path, [kept for kept in everything if kept.user_id == 1 and scope.covers(1, kept.group_slug)], scope
    )
    assert names(tmp_path) == left | others


def test_files_that_cannot_be_written_or_deleted_do_not_stop_the_others(tmp_path: Path) -> None:
    for user_id in (1, 2):
        (tmp_path / f"{user_id}-g.json").mkdir()
    (tmp_path / "3-g.json").touch()
    with pytest.raises(ConfigurationError) as failure:
        write_files(tmp_path, [snapshot(1, "g"), snapshot(4, "g")], Scope())
    assert str(failure.value) == (
        "2 files in --output-dir are not up to date, the first: 1-g.json cannot be written: Is a directory"
    )
    assert names(tmp_path) == {"1-g.json", "2-g.json", "4-g.json"}
