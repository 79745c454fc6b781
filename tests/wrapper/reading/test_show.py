"""What `wrapper show` prints about a member, in a pipe and on a terminal."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import psycopg2
import pytest
from rich.cells import cell_len

from tests.wrapper.conftest import HOSTILE_LABELS, LONG_LINK, WRAPPER, Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon


def on_terminal(wrapper: Wrapper, *arguments: str, columns: int = 100) -> str:
    """Run the wrapper with a real terminal as its stdout, and return what it wrote there."""
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [WRAPPER, *arguments],
        cwd=wrapper.cwd,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": str(columns), **wrapper.environ},
        stdin=subprocess.DEVNULL,
        stdout=writer,
    )
    os.close(writer)
    written = b""
    while True:
        try:
            read = os.read(reader, 65536)
        except OSError:
            break
        if not read:
            break
        written += read
    os.close(reader)
    assert process.wait() == 0
    return written.decode().replace("\r\n", "\n")


def descending(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Sort the counts: the largest first, then by name."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def domains(snapshot: dict[str, Any]) -> dict[str, int]:
    """The snapshot's links by domain."""
    counts: dict[str, int] = {}
    for link in snapshot["top_links"]:
        counts[link["domain"]] = counts.get(link["domain"], 0) + link["count"]
    return counts


def test_card_in_a_pipe_is_plain_and_complete(example: Wrapper) -> None:
    """Each of the member's cards shows what is exported, the largest first, with bars in proportion to the counts."""
    output = example.succeed("show", "1").stdout
    assert not {"\x1b", "│"} & set(output)
    with contextlib.closing(psycopg2.connect(example.environ["WAREHOUSE_URL"])) as connection:
        written = "to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI UTC')"
        hashes = "signal_profiles.signal_profile_snapshot_hashes"
        changed = dict(query(connection, f"select group_slug, {written} from {hashes} where user_id = 1"))
    index, output = output.split("\n\n", maxsplit=1)
    cards = re.split(r"(?:^|\n\n)user 1 in ", output.removesuffix("\n\n"))[1:]
    exported = example.export("--user", "1")
    counts = [(line["snapshot"]["group_slug"], line["snapshot"]["message_count"]) for line in exported]
    assert index == "user 1 is in 2 groups: " + ", ".join(f"{slug} ({count} messages)" for slug, count in counts)
    for card, line in zip(cards, exported, strict=True):
        snapshot = line["snapshot"]
        facts, *sections, stored = card.split("\n\n")
        slug, *lines = facts.splitlines()
        assert slug == snapshot["group_slug"]
        seen = [snapshot[name][:16].replace("T", " ") + " UTC" for name in ("first_seen_at", "last_seen_at")]
        stale = "stale: new messages since it was written"
        assert dict(re.split("  +", fact.rstrip(), maxsplit=1) for fact in lines) == {
            "messages": str(snapshot["message_count"]),
            "first": seen[0],
            "last": seen[1],
            "requests": ", ".join(map(str, snapshot["request_ids"])),
            "bio": stale if slug == "harvardstcommons" else "written from another group",
        }
        assert stored == f"hash {line['snapshot_hash']}\nsince {changed[slug]}"
        charts = {
            "Tags": [(tag["label"], tag["count"]) for tag in snapshot["top_tags"]],
            "Reactions": descending(snapshot["reaction_counts"]),
            "Attachments": descending(snapshot["attachment_counts"]),
        }
        shown = {
            heading: [tuple(re.split("  +", row.rstrip())) for row in rows]
            for heading, *rows in (section.splitlines() for section in sections)
        }
        links = shown.pop("Links")
        assert shown == {
            heading: [
                (label, str(count), "█" * round(24 * count / max(count for _, count in counts)))
                for label, count in counts
            ]
            for heading, counts in charts.items()
        }
        assert links == [(str(link["count"]), link["url"]) for link in snapshot["top_links"]]


def test_member_of_several_groups_has_a_card_for_each(example: Wrapper) -> None:
    found: list[dict[str, Any]] = json.loads(example.succeed("show", "4", "--json").stdout)
    assert [card["snapshot"]["group_slug"] for card in found] == ["harvardstcommons", "rides:north"]
    for card, line in zip(found, example.export("--user", "4"), strict=True):
        assert card.keys() == {"snapshot", "snapshot_hash", "changed_at", "bio", "domains"}
        assert (card["snapshot"], card["snapshot_hash"]) == (line["snapshot"], line["snapshot_hash"])
        assert list(card["domains"].items()) == descending(domains(card["snapshot"]))


def test_card_in_a_pipe_with_hostile_content_keeps_each_text_on_its_line(hostile: Wrapper) -> None:
    card = hostile.succeed("show", "1").stdout
    lines = [line.rstrip() for line in card.splitlines()]
    assert f"60  {LONG_LINK}" in lines
    tags = lines[lines.index("Tags") + 1 : lines.index("Reactions") - 1]
    assert len(tags) == len(HOSTILE_LABELS)
    assert not set("\x1b\x07\t\r\x9b\u202e\u202b\u2028\u2068\u2069") & set(card)
    # One of sixty is less than a whole block, but is drawn as one.
    assert "🎉   1  █" in lines


def test_card_in_ascii_output_escapes_other_letters(hostile: Wrapper) -> None:
    assert "\\u05e9\\u05dc\\u05d5\\u05dd" in hostile.succeed("show", "1", PYTHONIOENCODING="ascii").stdout


def test_card_on_a_terminal_with_hostile_content_keeps_its_frame_aligned(hostile: Wrapper) -> None:
    card = on_terminal(hostile, "show", "1")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", card)
    # The only escapes on the card are rich's colours.
    assert "\x1b" not in plain
    assert not set("\x07\t\r\x9b\u202e\u202b\u2028") & set(plain)
    assert "\u2068שלום עולם\u2069" in plain
    assert "\u2068<i>g</i>\N{REPLACEMENT CHARACTER}[2Jسلام\u2069" in plain
    widths = {
        cell_len(re.sub("[\u2068\u2069]", "", line)) for line in plain.splitlines() if line.startswith(("│", "╭", "╰"))
    }
    assert len(widths) == 1, plain


def test_card_on_a_terminal_is_coloured_unless_no_color_is_set(example: Wrapper) -> None:
    card = on_terminal(example, "show", "4", columns=80)
    assert "\x1b[36m████" in card
    assert "\x1b[2mhash " in card
    with_colours_off = Wrapper(example.cwd, {**example.environ, "NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3\dm", on_terminal(with_colours_off, "show", "4", columns=80))


UNKNOWN = "has neither a membership nor a published snapshot"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["999"], f"USER 999 {UNKNOWN}"),
        (["1", "--group-slug", "nope"], f"--group-slug 'nope' {UNKNOWN}"),
        (
            ["1", "--group-slug", "tool-library"],
            "USER 1 has no published snapshot in 'tool-library', but in 'harvardstcommons', 'rides:north'",
        ),
        (["47"], "USER 47 has no published snapshot: there will be one after the member has written in a group"),
    ],
)
def test_show_without_a_snapshot_to_show_fails_with_one_line(
    example: Wrapper, arguments: list[str], complaint: str
) -> None:
    result = example("show", *arguments)
    assert (result.code, result.stdout, result.stderr) == (2, "", f"wrapper: {complaint}\n")


def test_snapshot_does_not_import_rich(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
    program = (
        "import sys; sys.argv = ['wrapper', 'snapshot', '--all']\n"
        "from wrapper.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'rich' in sys.modules)"
    )
    environ = {"PATH": os.environ["PATH"], **wrapper.environ}
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=wrapper.cwd, env=environ, capture_output=True, text=True
    )
    assert printed.stdout == "0 False\n", printed.stderr
