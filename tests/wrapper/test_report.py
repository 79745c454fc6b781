"""What is on the page of `wrapper report`, beside what is exported, and what it must not do."""

import base64
import contextlib
import hashlib
import html.parser
import json
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from tests.wrapper.conftest import HOSTILE_LABELS, HOSTILE_SLUG, Wrapper, query
from wrapper.reading.report import LIMIT

Rows = list[list[str]]
AS_OF = "'as of the last run, ' || to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')"


class Page(html.parser.HTMLParser):
    """A page's tags, attributes and text; the cells of each row below a heading, a chart as how long it is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.below: dict[str, Rows] = {"": []}
        self.columns: dict[str, str] = {}
        self._inside = self._height = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        rows = list(self.below.values())[-1]
        if tag in ("tr", "dt"):
            rows.append([])
        if tag in ("td", "dt", "dd"):
            rows[-1].append("")
        if tag == "rect" and self._inside == "td":
            rows[-1][-1] = dict(attrs)["width"] or ""
        elif tag == "rect":
            self._height = dict(attrs)["height"] or ""
        if tag not in ("bdi", "svg", "rect"):
            self._inside = tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside == "h2" and data.strip():
            self.below[data] = []
        elif self._inside == "title" and list(self.below)[-1] and data.strip():
            self.columns[data] = self._height
        elif self._inside in ("td", "dt", "dd"):
            list(self.below.values())[-1][-1][-1] += data.strip()

    def rows(self, heading: str) -> Rows:
        """The rows below a heading, without that of the columns' names."""
        return [row for row in self.below[heading] if row]


def report(wrapper: Wrapper, name: str, *arguments: str) -> Page:
    """The page that the command writes."""
    assert wrapper.succeed("report", "--output", name, *arguments).stdout == ""
    return Page((wrapper.cwd / name).read_bytes().decode())


def exported(wrapper: Wrapper, *arguments: str) -> list[dict[str, Any]]:
    """The snapshots that are published."""
    return [line["snapshot"] for line in wrapper.export(*arguments)]


def charted(rows: Iterable[tuple[str, str | None, int]]) -> Rows:
    """Rows of a label, a detail where there is one, and a count, as the page has them."""
    kept = list(rows)[:LIMIT]
    return [
        [
            *(cell for cell in (label, detail) if cell is not None),
            f"{count:,}",
            f"{100 * count / kept[0][2]:.1f}",
        ]
        for label, detail, count in kept
    ]


def shared(snapshots: list[dict[str, Any]], column: str, key: str) -> Rows:
    """What members have in a list, by how many have it and then by how often."""
    members: dict[str, set[int]] = defaultdict(set)
    times: Counter[str] = Counter()
    for snapshot in snapshots:
        for item in snapshot[column]:
            members[item[key]].add(snapshot["user_id"])
            times[item[key]] += item["count"]
    order = sorted(members, key=lambda label: (-len(members[label]), -times[label], label.encode()))
    return charted((label, str(times[label]), len(members[label])) for label in order)


def summed(snapshots: list[dict[str, Any]], column: str) -> Rows:
    """What is counted in an object, the largest first."""
    times: Counter[str] = Counter()
    for snapshot in snapshots:
        times.update(snapshot[column])
    return charted(
        (label, None, count) for label, count in sorted(times.items(), key=lambda item: (-item[1], item[0].encode()))
    )


@pytest.mark.parametrize("slugs", [[], ["tool-library"], ["harvardstcommons", "rides:north"]])
def test_a_page_counts_what_is_exported(example: Wrapper, slugs: list[str]) -> None:
    arguments = [word for slug in slugs for word in ("--group-slug", slug)]
    page = report(example, "counted.html", *arguments)
    snapshots = exported(example, *arguments)
    by_group: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for snapshot in snapshots:
        by_group[snapshot["group_slug"]].append(snapshot)
    assert set(by_group) == set(slugs or by_group)

    assert dict(page.rows("")) == {
        "members": str(len({snapshot["user_id"] for snapshot in snapshots})),
        "groups": str(len(by_group)),
        "snapshots": str(len(snapshots)),
        "messages": f"{sum(snapshot['message_count'] for snapshot in snapshots):,}",
        "first message": min(snapshot["first_seen_at"] for snapshot in snapshots)[:10],
        "last message": max(snapshot["last_seen_at"] for snapshot in snapshots)[:10],
    }
    most = sorted(snapshots, key=lambda row: (-row["message_count"], row["user_id"], row["group_slug"].encode()))
    assert page.rows("Most messages") == charted(
        (str(row["user_id"]), row["group_slug"], row["message_count"]) for row in most
    )
    groups = {slug: sum(row["message_count"] for row in rows) for slug, rows in by_group.items()}
    assert page.rows("Groups") == charted(
        (slug, str(len(by_group[slug])), groups[slug])
        for slug in sorted(groups, key=lambda slug: (-groups[slug], slug.encode()))
    )
    assert page.rows("Most shared links") == shared(snapshots, "top_links", "url")
    assert page.rows("Most shared domains") == shared(snapshots, "top_links", "domain")
    assert page.rows("Tags") == shared(snapshots, "top_tags", "label")
    assert page.rows("Reactions") == summed(snapshots, "reaction_counts")
    assert page.rows("Attachments") == summed(snapshots, "attachment_counts")


def test_a_page_says_when_the_last_run_over_its_groups_was(example_copy: Wrapper) -> None:
    """Not when the page was written; a run over one group, or over some members, brings nothing else up to date."""
    all_groups: list[str] = []
    tools = ["--group-slug", "tool-library"]
    both = [*tools, "--group-slug", "rides:north"]
    late = "That run is more than 36 hours ago: what follows may be out of date."
    runs = "signal_profiles.signal_profile_runs"

    def said(arguments: list[str]) -> tuple[str, bool]:
        text = report(example_copy, "dated.html", *arguments).text
        return text.partition("Signal profile snapshots, ")[2].partition(". Tables show")[0], late in text

    with contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])) as warehouse:
        warehouse.autocommit = True
        [(ended, last)] = query(warehouse, f"select finished_at, {AS_OF} from {runs}")
        entry = [entry for entry in example_copy.log() if entry["status"] == "success"][-1]
        assert 0 <= (ended - datetime.fromisoformat(entry["timestamp"])).total_seconds() <= entry["duration_seconds"]
        assert said(all_groups) == said(both) == (last, False)

        query(warehouse, f"update {runs} set finished_at = '2024-01-01 03:00+00'")
        others = "('b', now(), null, '[\"tool-library\"]'), ('c', now(), '[1]', null)"
        query(warehouse, f"insert into {runs} values {others}")
        [(of_group,)] = query(warehouse, f"select {AS_OF} from {runs} where run_id = 'b'")
        assert said(all_groups) == said(both) == ("as of the last run, 2024-01-01 03:00", True)
        assert said(tools) == (of_group, False)

        query(warehouse, f"delete from {runs} where user_ids is null and group_slugs is null")
        assert said(all_groups) == said(both) == ("whose last run is not recorded", False)
        query(warehouse, f"drop table {runs}")
        assert said(tools) == ("whose last run is not recorded", False)


def test_a_page_says_who_wrote_last(example: Wrapper) -> None:
    page = report(example, "recent.html")
    snapshots = exported(example)
    snapshots.sort(key=lambda row: (row["user_id"], row["group_slug"].encode()))
    snapshots.sort(key=lambda row: datetime.fromisoformat(row["last_seen_at"]), reverse=True)
    assert page.rows("When members last wrote") == [
        [str(row["user_id"]), row["group_slug"], row["last_seen_at"][:16].replace("T", " "), str(row["message_count"])]
        for row in snapshots[:LIMIT]
    ]
    months = Counter(row["last_seen_at"][:7] for row in snapshots)
    newest = datetime.fromisoformat(f"{max(months)}-01").replace(tzinfo=UTC)
    last = newest.year * 12 + newest.month - 1
    shown = [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(last - 23, last + 1)]
    most = max(months[month] for month in shown)
    assert page.columns == {f"{month}: {months[month]}": f"{100 * months[month] / most:.1f}" for month in shown}


def test_a_page_says_which_bios_are_stale(example: Wrapper) -> None:
    page = report(example, "stale.html")
    freshness = json.loads(example.succeed("freshness", "--json").stdout)
    reasons = sorted(freshness["counts"].items(), key=lambda item: (-item[1], item[0]))
    stale = freshness["to_rewrite"]
    assert len(stale) > LIMIT
    assert f"{len(stale)} to be written anew, the first of them:" in page.text
    stale.sort(key=lambda row: (row["user_id"], row["group_slug"].encode()))
    assert page.rows("Bios") == charted((reason, None, count) for reason, count in reasons) + [
        [str(row["user_id"]), row["group_slug"], row["reason"]] for row in stale[:LIMIT]
    ]


def test_a_page_loads_and_runs_nothing_whatever_a_member_wrote(hostile: Wrapper) -> None:
    page = report(hostile, "report.html", "--group-slug", HOSTILE_SLUG)
    path = hostile.cwd / "report.html"
    text = path.read_bytes().decode()
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "bdi", "dl", "div", "dt", "dd", "main",
        "section", "table", "tr", "th", "td", "svg", "rect", "span",
    }  # fmt: skip
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href", "style"}]
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in page.attributes
    assert text.count("<style") == 1
    for what in ("width=device-width", "color-scheme: light dark", "(prefers-color-scheme: dark)", "@media print"):
        assert what in text
    for label in (*HOSTILE_LABELS, HOSTILE_SLUG):
        assert label in page.text
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_page_that_cannot_be_made_is_one_line(example: Wrapper) -> None:
    for arguments, complaint in (
        (
            ["--group-slug", "tool-library", "--group-slug", "nope", "--output", "x.html"],
            "--group-slug 'nope' has neither a membership nor a published snapshot",
        ),
        (["--output", "missing/x.html"], "--output missing/x.html cannot be written: No such file or directory"),
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
    # Who reads the old page has it to its end.
    assert example.succeed("report").stderr == "wrote storage/report.html\n"
    assert (example.cwd / "storage" / "report.html").read_text().startswith("<!doctype html>")
    old = example.cwd / "old.html"
    old.write_text("old")
    with old.open() as reading:
        example.succeed("report", "--output", "old.html")
        assert (reading.read(), old.read_text()[:5]) == ("old", "<!doc")
    link = example.cwd / "linked.html"
    link.symlink_to("the.html")
    example.succeed("report", "--output", "linked.html")
    assert link.is_symlink()
    assert (example.cwd / "the.html").read_text().startswith("<!doctype html>")
    full = example("report", "--output", "/dev/full")
    assert (full.code, full.stderr) == (2, "wrapper: --output /dev/full cannot be written: No space left on device\n")
