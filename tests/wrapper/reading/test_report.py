"""What the page of `wrapper report` shows, compared with the export, and what the page must not do."""

import base64
import contextlib
import hashlib
import html.parser
import json
import os
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import pytest
import yaml

from tests.wrapper.conftest import HOSTILE_LABELS, HOSTILE_SLUG, Wrapper, query
from wrapper.dbt_project import PROJECT_DIR
from wrapper.reading.freshness import REASONS
from wrapper.reading.report import LIMIT, QUIET_DAYS, QUIET_MESSAGES, TOP
from wrapper.reading.report_drawing import Axis, decoded

Rows = list[list[str]]
AS_OF = "'as of the last run, ' || to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')"
LOCAL = {"localhost", "192.168.1.20"}
UNPUBLISHED = "Messages per month are not published yet: the next wrapper snapshot --all publishes them."


class Page(html.parser.HTMLParser):
    """A page's tags, attributes and text, and for each heading the cells of its rows and the columns of its chart.

    The key of a heading inside a card starts with the card's heading. The text of a bar's cell is its length.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.below: dict[str, Rows] = {"": []}
        self.columns: dict[str, dict[str, str]] = defaultdict(dict)
        self._open: list[str] = []
        self._card = self._height = ""
        self.feed(text)

    @property
    def _heading(self) -> str:
        return list(self.below)[-1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        rows = self.below[self._heading]
        if tag in ("tr", "dt"):
            rows.append([])
        if tag in ("td", "dt", "dd"):
            rows[-1].append("")
        if tag == "rect" and "td" in self._open:
            rows[-1][-1] += dict(attrs)["width"] or ""
        elif tag == "rect":
            self._height = dict(attrs)["height"] or ""
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data
        inside = {"h2", "h3", "h4"}.intersection(self._open)
        if "style" in self._open or not data.strip():
            return
        if inside:
            self._card = data if "h3" in inside else self._card
            self.below.setdefault(f"{self._card}: {data}" if "h4" in inside else data, [])
        elif self._open[-1] == "title" and "rect" in self._open:
            self.columns[self._heading][data] = self._height
        elif {"td", "dt", "dd"}.intersection(self._open):
            self.below[self._heading][-1][-1] += data.strip()

    def rows(self, heading: str) -> Rows:
        """The rows below a heading, without the row of column names."""
        return [row for row in self.below[heading] if row]


def report(wrapper: Wrapper, name: str, *arguments: str) -> Page:
    """The page that the command writes."""
    assert wrapper.succeed("report", "--output", name, *arguments).stdout == ""
    return Page((wrapper.cwd / name).read_bytes().decode())


def exported(wrapper: Wrapper, *arguments: str) -> list[dict[str, Any]]:
    """The snapshots that are published."""
    return [line["snapshot"] for line in wrapper.export(*arguments)]


def charted(rows: Iterable[tuple[str, str | None, int]]) -> Rows:
    """Rows of a label, a detail if there is one, and a count, as the page shows them."""
    kept = list(rows)[:LIMIT]
    return [
        [
            *(cell for cell in (label, detail) if cell is not None),
            f"{count:,}",
            f"{100 * count / kept[0][2]:.1f}",
        ]
        for label, detail, count in kept
    ]


def host(domain: str) -> str:
    """A domain as the page shows it: decoded, and then as it was written."""
    return domain if decoded(domain) == domain else decoded(domain) + domain


def entries(snapshot: dict[str, Any], column: str, key: str) -> Iterator[tuple[str, int]]:
    """Labels and counts of a snapshot's list, without links to local addresses."""
    for item in snapshot[column]:
        if item.get("domain") not in LOCAL:
            yield host(item[key]) if key == "domain" else item[key], item["count"]


def shared(snapshots: list[dict[str, Any]], column: str, key: str) -> Rows:
    """Entries of the members' lists, ordered by how many members have them and then by how often."""
    members: dict[str, set[int]] = defaultdict(set)
    times: Counter[str] = Counter()
    for snapshot in snapshots:
        for label, count in entries(snapshot, column, key):
            members[label].add(snapshot["user_id"])
            times[label] += count
    order = sorted(members, key=lambda label: (-len(members[label]), -times[label], label.encode()))
    return charted((label, f"{times[label]:,}", len(members[label])) for label in order)


def summed(snapshots: list[dict[str, Any]], column: str) -> Rows:
    """Sums of the counts in an object, the largest first."""
    times: Counter[str] = Counter()
    for snapshot in snapshots:
        times.update(snapshot[column])
    return charted(
        (label, None, count) for label, count in sorted(times.items(), key=lambda item: (-item[1], item[0].encode()))
    )


def top(counts: Iterable[tuple[str, int]]) -> Rows:
    """The largest of these counts, summed by label."""
    times: Counter[str] = Counter()
    for label, count in counts:
        times[label] += count
    order = sorted(times, key=lambda label: (-times[label], label.encode()))
    return [[label, f"{times[label]:,}"] for label in order[:TOP]]


@pytest.mark.parametrize("slugs", [[], ["tool-library"], ["harvardstcommons", "rides:north"]])
def test_page_counts_what_is_exported(example: Wrapper, slugs: list[str]) -> None:
    arguments = [word for slug in slugs for word in ("--group-slug", slug)]
    page = report(example, "counted.html", *arguments)
    snapshots = exported(example, *arguments)
    by_group: dict[str, list[dict[str, Any]]] = defaultdict(list)
    by_member: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for snapshot in snapshots:
        by_group[snapshot["group_slug"]].append(snapshot)
        by_member[snapshot["user_id"]].append(snapshot)
    assert set(by_group) == set(slugs or by_group)

    assert dict(page.rows("")) == {
        "members": str(len(by_member)),
        "groups": str(len(by_group)),
        "messages": f"{messages(snapshots):,}",
        "first message": first(snapshots),
        "last message": last(snapshots),
    }
    for slug, rows in by_group.items():
        counts = f"{len(rows)} members, {messages(rows)} messages, {first(rows)} to {last(rows)}"
        assert f"{slug}\n{counts}; 1 more has not written\n" in page.text
        assert page.rows(f"{slug}: Tags") == top(entry for row in rows for entry in entries(row, "top_tags", "label"))
        domains = (entry for row in rows for entry in entries(row, "top_links", "domain"))
        assert page.rows(f"{slug}: Domains") == top(domains)
        assert page.rows(f"{slug}: Emoji") == top(entry for row in rows for entry in row["reaction_counts"].items())
    groups = sorted(by_group, key=lambda slug: (-messages(by_group[slug]), slug.encode()))
    assert [heading for heading in page.below if heading in by_group] == groups

    assert page.rows("Links") == shared(snapshots, "top_links", "url")
    assert page.rows("Domains") == shared(snapshots, "top_links", "domain")
    assert page.rows("Tags") == shared(snapshots, "top_tags", "label")
    assert page.rows("Reactions") == summed(snapshots, "reaction_counts")
    assert page.rows("Attachments") == summed(snapshots, "attachment_counts")

    def slugs_of(rows: list[dict[str, Any]]) -> str:
        order = sorted(rows, key=lambda row: (-row["message_count"], row["group_slug"].encode()))
        return "".join(row["group_slug"] for row in order)

    most = sorted(by_member, key=lambda user_id: (-messages(by_member[user_id]), user_id))
    assert page.rows("Members") == [
        [str(user_id), slugs_of(rows), f"{messages(rows):,}", "", first(rows), last(rows)]
        for user_id, rows in ((user_id, by_member[user_id]) for user_id in most)
    ]
    assert [int(value[7:]) for name, value in page.attributes if name == "id" and value and "member-" in value] == most


def messages(rows: list[dict[str, Any]]) -> int:
    return sum(row["message_count"] for row in rows)


def first(rows: list[dict[str, Any]]) -> str:
    return min(str(row["first_seen_at"]) for row in rows)[:10]


def last(rows: list[dict[str, Any]]) -> str:
    return max(str(row["last_seen_at"]) for row in rows)[:10]


def test_charts_count_the_messages_of_each_month(example: Wrapper) -> None:
    page = report(example, "charts.html")
    months: dict[str, Counter[str]] = defaultdict(Counter)
    with contextlib.closing(psycopg2.connect(example.environ["WAREHOUSE_URL"])) as warehouse:
        rows = query(warehouse, "select group_slug, month, message_count from signal_profiles.signal_profile_months")
    for slug, month, count in rows:
        for chart in (slug, ""):
            months[chart][f"{month:%Y-%m}"] += count
    shown = [month for year in (2024, 2025, 2026) for month in (f"{year}-{number:02}" for number in range(1, 13))][2:27]
    assert months[""].keys() == set(shown)
    assert page.columns == {
        slug: {f"{month}: {counts[month]}": f"{100 * counts[month] / max(counts.values()):.1f}" for month in shown}
        for slug, counts in months.items()
    }


@pytest.mark.parametrize(
    ("since", "until", "shown", "count"),
    [
        ("2025-12-31", "2026-01-01", ("2025-02-01", "2026-01-01"), 12),
        ("2023-05-01", "2026-03-01", ("2023-05-01", "2026-03-01"), 35),
        ("1999-01-01", "2026-03-01", ("2023-04-01", "2026-03-01"), 36),
        ("0001-01-01", "0001-02-01", ("0001-01-01", "0001-02-01"), 2),
    ],
)
def test_charts_show_a_year_at_least_and_three_at_most(
    since: str, until: str, shown: tuple[str, str], count: int
) -> None:
    axis = Axis.between(datetime.fromisoformat(since), datetime.fromisoformat(until))
    assert (axis.months[0].isoformat(), axis.months[-1].isoformat(), len(axis.months)) == (*shown, count)
    assert sum(year.span for year in axis.years) == count


def test_page_lists_newcomers_and_members_who_have_gone_quiet(example: Wrapper, example_copy: Wrapper) -> None:
    """Both are measured from the group's last message, since chats are imported by hand."""
    with contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])) as warehouse:
        warehouse.autocommit = True
        query(
            warehouse,
            "update signal_profiles.signal_profile_snapshots set first_seen_at = last_seen_at - interval '1 day' "
            "where user_id % 4 = 0",
        )
    page = report(example_copy, "people.html")
    rows = exported(example_copy)
    newest = {row["group_slug"]: datetime.min for row in rows}
    for row in rows:
        row["first"], row["last"] = (datetime.fromisoformat(row[f"{end}_seen_at"]) for end in ("first", "last"))
        newest[row["group_slug"]] = max(newest[row["group_slug"]], row["last"])
    rows.sort(key=lambda row: (row["user_id"], row["group_slug"].encode()))

    def listed(rows: list[dict[str, Any]], end: str) -> Rows:
        return [
            [str(row["user_id"]), row["group_slug"], "", row[end].strftime("%Y-%m-%d"), str(row["message_count"])]
            for row in rows[:LIMIT]
        ]

    days = timedelta(days=QUIET_DAYS)
    newcomers = [row for row in rows if row["first"] > newest[row["group_slug"]] - days]
    newcomers.sort(key=lambda row: row["first"], reverse=True)
    quiet = [
        row for row in rows if row["message_count"] >= QUIET_MESSAGES and row["last"] < newest[row["group_slug"]] - days
    ]
    quiet.sort(key=lambda row: -row["message_count"])
    assert len(newcomers) > LIMIT // 2
    assert len(quiet) > 2
    assert page.rows("Newcomers") == listed(newcomers, "first")
    assert page.rows("Gone quiet") == listed(quiet, "last")
    assert "No newcomers: nobody wrote for the first time" in report(example, "without.html").text


def test_page_without_published_months_says_what_publishes_them(example_copy: Wrapper) -> None:
    """Months are also missing if the first run that publishes them had a scope."""
    months = "signal_profiles.signal_profile_months"
    with contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])) as warehouse:
        warehouse.autocommit = True
        query(warehouse, f"delete from {months} where group_slug <> 'tool-library'")
        page = report(example_copy, "part.html")
        assert list(page.columns) == ["tool-library"]
        assert page.text.count(UNPUBLISHED) == 5
        query(warehouse, f"drop table {months}")
        query(warehouse, "alter table signal_profiles.signal_profile_memberships rename to analysts_copy")
    page = report(example_copy, "none.html", "--group-slug", "tool-library")
    assert page.text.count(UNPUBLISHED) == 2
    assert len(page.rows("Members")[0]) == 5
    assert "not written" not in page.text


def test_page_says_when_the_last_run_over_its_groups_was(example_copy: Wrapper) -> None:
    """This is not when the page was written. A run over one group or some members brings nothing else up to date."""
    all_groups: list[str] = []
    tools = ["--group-slug", "tool-library"]
    both = [*tools, "--group-slug", "rides:north"]
    late = "That run is more than 36 hours ago: what follows may be out of date."
    runs = "signal_profiles.signal_profile_runs"

    def said(arguments: list[str]) -> tuple[str, bool]:
        text = report(example_copy, "dated.html", *arguments).text
        return text.partition("Signal profile snapshots, ")[2].partition(". All times")[0], late in text

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


def test_page_ends_with_what_the_operator_must_do_about_bios(example: Wrapper) -> None:
    page = report(example, "bios.html")
    freshness = json.loads(example.succeed("freshness", "--json").stdout)
    counts, to_rewrite = freshness["counts"], freshness["to_rewrite"]
    assert list(page.below)[-1] == "For the operator: bios"
    stale = {row["reason"] for row in to_rewrite}
    assert (
        f"{len(to_rewrite)} to write or rewrite, {sum(counts.values()) - len(to_rewrite)} to leave as they are."
        in page.text
    )
    rows = page.rows("For the operator: bios")
    for reason, count, bar, members in rows:
        (name,) = [name for name in counts if reason.endswith(name)]
        assert reason == REASONS[name] + name
        assert (count, bar) == (str(counts[name]), f"{100 * counts[name] / max(counts.values()):.1f}")
        of_reason = sorted(row["user_id"] for row in to_rewrite if row["reason"] == name)
        more = f"and {count_more} more" if (count_more := len(of_reason) - LIMIT) > 0 else ""
        if name in stale:
            assert members == ",".join(map(str, of_reason[:LIMIT])) + more
    assert len(rows) == len(counts)
    assert any("more" in row[3] for row in rows)
    assert described_reasons() == set(REASONS)


def described_reasons() -> set[str]:
    """The reasons that the description of the view names."""
    models = yaml.safe_load((PROJECT_DIR / "models/marts/bios/_bios__models.yml").read_text())["models"]
    (view,) = [model for model in models if model["name"] == "signal_profile_highlight_freshness"]
    (column,) = [column for column in view["columns"] if column["name"] == "reason"]
    return set(re.findall("`([a-z-]+)`", column["description"]))


def test_page_has_names_only_if_they_are_asked_for(example: Wrapper) -> None:
    assert "@member7" not in report(example, "numbers.html").text
    page = report(example, "names.html", "--names")
    assert {"7 @member7", "23 @member23"} <= {row[0] for row in page.rows("Members")}


def test_page_decodes_domains_and_leaves_out_local_addresses(example_copy: Wrapper) -> None:
    """A domain that only looks like a local one, or like punycode, stays as it is."""
    public = ["10.example", "local.example", "172.32.0.1", "11.0.0.1", "xn--mnchen-3ya.example", "xn--.example"]
    local = [
        "localhost", "printer.local", "nas", "10.0.0.7", "172.16.0.1", "192.168.0.1", "127.0.0.1", "169.254.1.1",
        "100.64.0.1",
    ]  # fmt: skip
    links = [{"url": f"http://{domain}/x", "domain": domain, "count": 1} for domain in (*public, *local)]
    with contextlib.closing(psycopg2.connect(example_copy.environ["WAREHOUSE_URL"])) as warehouse:
        warehouse.autocommit = True
        query(warehouse, f"update signal_profiles.signal_profile_snapshots set top_links = '{json.dumps(links)}'")
    page = report(example_copy, "domains.html")
    assert sorted(row[0] for row in page.rows("Domains")) == sorted(map(host, public))
    assert sorted(row[0] for row in page.rows("Links")) == sorted(f"http://{domain}/x" for domain in public)
    assert "münchen.examplexn--mnchen-3ya.example" in {row[0] for row in page.rows("Domains")}


@pytest.mark.parametrize("domain", ["xn--.example", "xn--a\u00e9.example", "xn--999999999.example", "a.xn-b", "xn--a-"])
def test_domain_of_invalid_punycode_stays_as_it_is(domain: str) -> None:
    assert decoded(domain) == domain


def test_page_with_hostile_content_loads_and_runs_nothing(hostile: Wrapper) -> None:
    page = report(hostile, "report.html", "--group-slug", HOSTILE_SLUG)
    path = hostile.cwd / "report.html"
    text = path.read_bytes().decode()
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "h1", "h2", "h3", "h4",
        "p", "a", "b", "bdi", "code", "small", "span", "time", "wbr", "dl", "div", "dt", "dd", "figure", "figcaption",
        "table", "tr", "th", "td", "svg", "rect", "path",
    }  # fmt: skip
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "style"}]
    # Links lead only to places on the page, each of which exists once.
    links = {value or "" for name, value in page.attributes if name == "href"}
    places = [value or "" for name, value in page.attributes if name == "id"]
    assert all(re.fullmatch("#[a-z]+(-[0-9]+)?", link) for link in links)
    assert {link.removeprefix("#") for link in links} <= set(places)
    assert len(set(places)) == len(places)
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in page.attributes
    assert text.count("<style") == 1
    for what in ("width=device-width", "color-scheme: light dark", "(prefers-color-scheme: dark)", "@media print"):
        assert what in text
    links_shared = [link["url"] for row in exported(hostile) for link in row["top_links"]]
    assert len(links_shared) > 1
    for label in (*HOSTILE_LABELS, HOSTILE_SLUG, *links_shared):
        assert label in page.text
    assert path.stat().st_mode & 0o777 == 0o600


def test_report_that_cannot_be_made_fails_with_one_line(example: Wrapper) -> None:
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


def test_report_replaces_files_but_not_devices_pipes_or_links(example: Wrapper) -> None:
    """If root replaced a device, it would be lost for all users; a link keeps pointing to its file."""
    pipe = example.cwd / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        example.succeed("report", "--output", "pipe")
        assert reader.communicate()[0].startswith("<!doctype html>")
    # If this fails, the test stops before root could lose a device.
    assert pipe.is_fifo()
    assert example.succeed("report", "--output", "/dev/stdout").stdout.startswith("<!doctype html>")
    assert example.succeed("report").stderr == "wrote storage/report.html\n"
    assert (example.cwd / "storage" / "report.html").read_text().startswith("<!doctype html>")
    # A program that has opened the old page can read all of it.
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
