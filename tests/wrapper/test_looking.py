"""What people look at: show, report and status, with what members wrote at its worst."""

import html.parser
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.wrapper.conftest import WRAPPER, Wrapper
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon

HOSTILE_LABELS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>{{7*7}}',
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eturned",
    "שלום עולם",
]
HOSTILE_LINK = "https://evil.example/<b>?\"onmouseover='alert(1)'"


class Page(html.parser.HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def hostile(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """A published group whose members wrote what they should not."""
    folder = tmp_path_factory.mktemp("hostile")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1, 2, slug="<i>g</i>\x1b[2J", name="G")
    body = f"see {HOSTILE_LINK} https://plain.example/x\n\n[attachments: <b>.png]\n(Reactions: Jo 👩‍👩‍👧, Bo ❤️)"
    for _ in range(3):
        whiteballoon.comment(1, body, tags=[json.dumps(HOSTILE_LABELS), None, None])
    whiteballoon.comment(2, "hello")
    wrapper = Wrapper(folder, {"WAREHOUSE_URL": server.create_database("hostile"), "PROFILE_SIGNAL_GLAZE": "on"})
    wrapper.snapshot("--all")
    return wrapper


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


def test_a_card_in_a_pipe_is_plain_and_complete(example: Wrapper) -> None:
    card = example.succeed("show", "1", "--group-slug", "harvardstcommons").stdout
    assert card.startswith("user 1 in harvardstcommons\n")
    assert "\x1b" not in card
    assert "│" not in card
    for what in ("messages  24", "bio       new-messages", "Tags", "Links by domain", "Reactions", "Attachments"):
        assert what in card
    assert re.search(r"^tools +10  █{24} *$", card, re.MULTILINE)
    assert re.search(r"^2  https://partiful.com/e/demo *$", card, re.MULTILINE)


def test_a_member_of_several_groups_has_a_card_in_each(example: Wrapper) -> None:
    slugs = re.findall(r"(?:^|\n\n)user 4 in (.+)\n", example.succeed("show", "4").stdout)
    assert slugs == ["harvardstcommons", "rides:north"]
    found: list[dict[str, Any]] = json.loads(example.succeed("show", "4", "--json").stdout)
    exported = [json.loads(line) for line in example.succeed("export", "--user", "4").stdout.splitlines()]
    for card, line in zip(found, exported, strict=True):
        assert card.keys() == {"snapshot", "snapshot_hash", "changed_at", "bio", "domains"}
        assert (card["snapshot"], card["snapshot_hash"]) == (line["snapshot"], line["snapshot_hash"])
        domains: dict[str, int] = {}
        for link in card["snapshot"]["top_links"]:
            domains[link["domain"]] = domains.get(link["domain"], 0) + link["count"]
        assert card["domains"] == domains


def test_a_card_on_a_terminal_is_in_line_whatever_a_member_wrote(hostile: Wrapper) -> None:
    card = on_terminal(hostile, "show", "1")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", card)
    # What is left of escapes are rich's own colours.
    assert "\x1b" not in plain
    assert not {"\x07", "\u202e"} & set(plain)
    assert "\u2068שלום עולם\u2069" in plain
    widths = {
        cell_len(re.sub("[\u2068\u2069]", "", line)) for line in plain.splitlines() if line.startswith(("│", "╭", "╰"))
    }
    assert len(widths) == 1, plain


NOBODY = "has no published snapshot: give the id of a member, and to --group-slug a group of theirs"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["999"], f"USER 999 {NOBODY}"),
        (["1", "--group-slug", "nope"], f"USER 1 {NOBODY}"),
        (["ana"], "Invalid value for 'USER': 'ana' is not a valid integer."),
    ],
)
def test_nobody_to_show_is_one_line(example: Wrapper, arguments: list[str], complaint: str) -> None:
    result = example("show", *arguments)
    assert (result.code, result.stdout, result.stderr) == (2, "", f"wrapper: {complaint}\n")


def test_a_page_loads_and_runs_nothing_whatever_a_member_wrote(hostile: Wrapper) -> None:
    path = hostile.cwd / "report.html"
    assert hostile.succeed("report", "--output", str(path)).stdout == ""
    text = path.read_text()
    page = Page(text)
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "bdi", "dl", "div", "dt", "dd", "main",
        "section", "table", "tr", "th", "td", "svg", "rect", "span",
    }  # fmt: skip
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href", "style"}]
    assert "default-src 'none'" in text
    for label in HOSTILE_LABELS:
        assert label in page.text
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_page_of_one_group_counts_that_group(example: Wrapper) -> None:
    path = example.cwd / "group.html"
    example.succeed("report", "--group-slug", "tool-library", "--output", str(path))
    text = Page(path.read_text()).text
    assert "tool-library" in text
    assert "harvardstcommons" not in text
    exported = [
        json.loads(line) for line in example.succeed("export", "--group-slug", "tool-library").stdout.splitlines()
    ]
    messages = sum(line["snapshot"]["message_count"] for line in exported)
    assert re.search(rf"members\s*{len(exported)}\s.*messages\s*{messages}\s", text, re.DOTALL)


def test_a_page_that_cannot_be_made_is_one_line(example: Wrapper) -> None:
    for arguments, complaint in (
        (["--group-slug", "nope", "--output", "x.html"], "--group-slug 'nope' has no published snapshot"),
        (["--output", "missing/x.html"], "--output missing/x.html cannot be written: No such file or directory"),
        ([], "Missing option '--output'."),
    ):
        result = example("report", *arguments)
        assert (result.code, result.stderr) == (2, f"wrapper: {complaint}\n")
    assert not (example.cwd / "x.html").exists()


def test_a_page_replaces_files_alone(example: Wrapper) -> None:
    """Not a device, which root could lose for all, and not the link to a file."""
    pipe = example.cwd / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        example.succeed("report", "--output", "pipe")
        assert reader.communicate()[0].startswith("<!doctype html>")
    # The first to fail, before what follows could cost root a device.
    assert pipe.is_fifo()
    assert example.succeed("report", "--output", "/dev/stdout").stdout.startswith("<!doctype html>")
    link = example.cwd / "linked.html"
    link.symlink_to("the.html")
    example.succeed("report", "--output", "linked.html")
    assert link.is_symlink()
    assert (example.cwd / "the.html").read_text().startswith("<!doctype html>")
    full = example("report", "--output", "/dev/full")
    assert (full.code, full.stderr) == (2, "wrapper: --output /dev/full cannot be written: No space left on device\n")


def entry(hours_ago: float, status: str = "success", **fields: object) -> str:
    """A line of the run log."""
    values: dict[str, object] = {
        "timestamp": (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat(), "run_id": "1", "status": status,
        "dry_run": False, "group_slugs": None, "target_users": 1, "attempted": 1, "generated": 7, "skipped": 0,
        "changed": 1, "unchanged": 0, "removed": 0, "snapshots_digest": "0", "duration_seconds": 1.5,
        "output_dir": None, "error": None, "version": "0.1.0",
    }  # fmt: skip
    return json.dumps({**values, **fields}) + "\n"


def write_log(wrapper: Wrapper, text: str, name: str = "signal_profile_snapshot.log") -> None:
    folder = wrapper.cwd / "storage"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_status_shows_the_runs_and_passes_over_the_lines_of_others(wrapper: Wrapper, tmp_path: Path) -> None:
    others = 'INFO something else\n{"status": "success"}\n{"timestamp": 7\n\n[1]\nnull\n' + "[" * 100_000 + "\n"
    failed = entry(30, "failed", error="data test x failed\x1b[31m", generated=None, group_slugs=["a", "b"])
    write_log(wrapper, others + failed + entry(20) + entry(3, dry_run=True) + '{"timestamp": "20')
    shown = wrapper("status")
    assert shown.code == 0, shown.stderr
    table, failure = shown.stdout.splitlines()[:4], shown.stdout.splitlines()[4]
    assert table[0].split() == ["UTC", "status", "groups", "snapshots", "changed", "removed", "seconds"]
    assert table[1].split()[2:] == ["failed", "a,", "b", "1", "0", "1.5"]
    assert table[2].split()[2:] == ["success", "all", "7", "1", "0", "1.5"]
    assert table[3].split()[2:] == ["success", "(dry)", "all", "7", "1", "0", "1.5"]
    assert failure.startswith("last failure, ")
    assert failure.rstrip().endswith(": data test x failed\N{REPLACEMENT CHARACTER}[31m")

    found = json.loads(wrapper.succeed("status", "--json", "--last", "1").stdout)
    assert [run["dry_run"] for run in found["runs"]] == [True]
    assert (found["overdue"], found["last_failure"]["error"]) == (False, "data test x failed\x1b[31m")
    assert found["last_success"]["dry_run"] is False


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", "never"),
        (entry(37), "last at "),
        (entry(1, "failed", error="x"), "never"),
        (entry(1, "disabled"), "never"),
        (entry(1, dry_run=True), "never"),
    ],
)
def test_status_exits_with_3_where_the_last_success_is_too_long_ago(wrapper: Wrapper, text: str, last: str) -> None:
    write_log(wrapper, text)
    result = wrapper("status")
    assert result.code == 3
    assert f"warning: no run has published for 36 hours ({last}" in result.stdout
    assert json.loads(wrapper("status", "--json").stdout)["overdue"] is True


def test_status_knows_the_log_that_logrotate_has_just_put_aside(wrapper: Wrapper) -> None:
    write_log(wrapper, entry(5), "signal_profile_snapshot.log.1")
    assert wrapper("status").code == 0
    write_log(wrapper, entry(1, "failed", error="x"))
    assert [run["status"] for run in json.loads(wrapper("status", "--json").stdout)["runs"]] == ["success", "failed"]


def test_rich_stays_out_of_the_path_of_snapshot(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
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
