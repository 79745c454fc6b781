"""Hostile and broken content, with the rows that must result, worked out by hand from docs/rules.md.

Each entry fills a WhiteBalloon with its own user and request, which share a number, and returns its users' rows.
"""

import dataclasses
import random
import string
from collections.abc import Callable, Sequence
from typing import Any

from tests.wrapper.rules.test_rows import link, row, tag
from tests.wrapper.whiteballoon import WhiteBalloon

NOON = "2024-03-18T12:00:00"
WHITE_SPACE = " \t\n\r\f\v"
Rows = dict[int, list[dict[str, Any]]]
Fill = Callable[[WhiteBalloon, int], Rows]

# Texts that could end a literal, a pattern, a template, a parameter, a path, or a line of COPY or of the log.
HOSTILE_NAMES = [
    "it's", '"quoted"', "back\\slash", "\\", "\\.", "\\N", "%s", "%(x)s", "%", "_", "__", "$$",
    "$$; drop table x; $$", "'; drop table x; --", "{{ 1 }}", "{{ var('x') }}", "{% if %}", "{# x #}", "{{", "%}",
    "a:b", ":", "a/b", "../../x", ".", "..", "~", "*", "-x", "--all", "a\tb", "a\nb", "a\r\nb", "\v", " leading",
    "trailing ", "a\x01b\x1f\x7f\x85", "\ufeffbom", "\u202eright\u202c", "\u200b", "\u2028", "e\u0301", "é", "漢字",
    "😀", "👩‍👩‍👧", "null", "None", "[]", "{a: 1}", "- a", "@x", "#", "x" * 200,
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing that somebody may write."""

    name: str
    fill: Fill


def message(name: str, body: str, *tags: str | None, **expected: Any) -> Entry:
    """One message, with the three columns of its analysis if they are given."""

    def fill(wb: WhiteBalloon, number: int) -> Rows:
        wb.group(number, slug="g", name=f"G{number}", request_id=number)
        wb.comment(number, body, request_id=number, tags=tags or None)
        return {number: [row(number, "g", 1, NOON, NOON, [number], **expected)]}

    return Entry(name, fill)


def shown(text: str) -> str:
    return ascii(text) if len(text) < 40 else f"{text[:1]!a} and {len(text) - 1} more"


def slug(text: str, stored: str | None = None) -> Entry:
    """A group without a name, so its slug is in the title too."""

    def fill(wb: WhiteBalloon, number: int) -> Rows:
        wb.request(number, f"[Signal] {text.strip(WHITE_SPACE)}")
        wb.member(number, text, None)
        wb.comment(number, "x", request_id=number)
        return {number: [row(number, stored or text, 1, NOON, NOON, [number])]}

    return Entry(f"slug {shown(text)}", fill)


def long_slug(length: int) -> Entry:
    """A random slug, which Postgres cannot compress to fit an index."""
    text = "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))

    def fill(wb: WhiteBalloon, number: int) -> Rows:
        rows = slug(text).fill(wb, number)
        return rows if length <= 2000 else {number: []}

    return Entry(f"random slug of {length} characters", fill)


def group_name(text: str) -> Entry:
    def fill(wb: WhiteBalloon, number: int) -> Rows:
        name = f"{text} of {number}"
        wb.request(number, f"[Signal] {name.strip(WHITE_SPACE)}")
        wb.member(number, "named", name)
        wb.comment(number, "x", request_id=number)
        return {number: [row(number, "named", 1, NOON, NOON, [number])]}

    return Entry(f"group name {shown(text)}", fill)


def user_name(text: str) -> Entry:
    def fill(wb: WhiteBalloon, number: int) -> Rows:
        wb.execute("insert into users (id, username) values (?, ?)", number, text)
        return message("", "x").fill(wb, number)

    return Entry(f"user name {shown(text)}", fill)


def duplicate_titles(wb: WhiteBalloon, number: int) -> Rows:
    wb.member(number, "g", "Twice")
    for request_id in (number, number + 1, number + 2):
        wb.request(request_id, "[Signal] Twice")
    wb.comment(number, "x", request_id=number + 2)
    wb.comment(number, "x", request_id=number)
    return {number: [row(number, "g", 2, NOON, NOON, [number, number + 2])]}


def duplicate_memberships(wb: WhiteBalloon, number: int) -> Rows:
    """The membership with the lowest id counts, even if only another one has a chat."""
    wb.request(number, "[Signal] Second name")
    wb.request(number + 1, "[Signal] First name")
    for user_id, names in ((number, ["First name", "Second name"]), (number + 1, ["No name", "Second name"])):
        for name in names:
            wb.member(user_id, "g", name)
        wb.comment(user_id, "x", request_id=number)
    for _ in range(2):
        wb.comment(number, "x", request_id=number + 1)
    return {number: [row(number, "g", 2, NOON, NOON, [number + 1])], number + 1: []}


def orphans(wb: WhiteBalloon, number: int) -> Rows:
    """Comments of a user without a membership, and on a request that does not exist."""
    wb.request(number, f"[Signal] G{number}")
    wb.member(number, "g", f"G{number}")
    wb.comment(number, "x", request_id=number + 1)
    wb.comment(number + 1, "x", request_id=number)
    return {number: [], number + 1: []}


def timestamps(wb: WhiteBalloon, number: int) -> Rows:
    wb.group(number, slug="g", name=f"G{number}", request_id=number)
    wb.comment(number, "x", request_id=number, at="9999-12-31 23:59:59.999999")
    wb.comment(number, "x", request_id=number, at="0001-01-01 00:00:00")
    return {number: [row(number, "g", 2, "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", [number])]}


def ids(wb: WhiteBalloon, number: int) -> Rows:
    """Users, requests and comments at the edges of 32 and of 64 bits, and around zero."""
    edges = [-(2**63), -(2**31) - 1, -(2**31), -1, 0, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1]
    for request_id in edges:
        wb.request(request_id, "[Signal] Edges")
    for user_id in edges:
        wb.member(user_id, "edges", "Edges")
    for position, (comment_id, user_id) in enumerate(zip(edges, reversed(edges), strict=True)):
        statement = (
            "insert into request_comments (id, help_request_id, user_id, body, created_at) values (?, ?, ?, ?, ?)"
        )
        wb.execute(
            statement, comment_id, edges[position], user_id, f"https://{position}.example/", "2024-03-18 12:00:00"
        )
    for request_id in edges:
        wb.comment(-1, "x", request_id=request_id)
    rows: Rows = {
        user_id: [
            row(
                user_id, "edges", 1, NOON, NOON, [edges[position]],
                top_links=[link(f"https://{position}.example/", f"{position}.example", 1)],
            )
        ]
        for position, user_id in enumerate(reversed(edges))
    }  # fmt: skip
    rows[-1][0] |= {"message_count": 1 + len(edges), "request_ids": edges}
    return rows


def links(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [link(url, url.split("/")[2], count) for url, count in pairs]


_CONTROLS = [chr(code) for code in (*range(1, 32), *range(127, 160))]
_MANY_LINKS = [f"https://a.example/{number}" for number in range(99_985)] + [
    f"https://top.example/{count}" for count in range(1, 6) for _ in range(count)
]

ENTRIES: Sequence[Entry] = [
    message(
        "a body of 10 MB",
        f"https://first.example/ {'word ' * 2_000_000}https://last.example/\n\n[attachments: a.png]\n(Reactions: A 👍)",
        top_links=links(("https://first.example/", 1), ("https://last.example/", 1)),
        attachment_counts={"image": 1},
        reaction_counts={"👍": 1},
    ),
    message("a body of 10 MB without white space", "https://a.example/" + "x" * 10_000_000),
    message("a body of 10 MB of white space", " \n" * 5_000_000),
    message(
        "100,000 links in one body",
        " ".join(_MANY_LINKS),
        top_links=links(
            *((f"https://top.example/{count}", count) for count in (5, 4, 3, 2)), ("https://a.example/0", 1)
        ),
    ),
    message(
        "2,000 emoji in one reactions line",
        "x\n(Reactions: " + ", ".join(["A 👍"] * 1500 + ["B ❤️"] * 499 + ["C 👍👍"]) + ")",
        reaction_counts={"👍": 1500, "❤️": 499, "👍👍": 1},
    ),
    message("2,000 emoji in one word", f"(Reactions: A {'👍' * 2000})", reaction_counts={"👍" * 2000: 1}),
    message(
        "bidi and zero-width characters",
        "https://a.example/\u200bx\u202e\n[attachments: a.png\u200b, \u202ea.png]\n"
        "(Reactions: A \u200b👍, B\u00a0👍, C 👍)",
        '["\u200b", "\u202ea\u202c", "\ufeff"]', "\u200b,\u2066", None,
        top_links=links(("https://a.example/\u200bx\u202e", 1)),
        top_tags=[tag("\u200b", 2), tag("\u202ea\u202c", 1), tag("\ufeff", 1), tag("\u2066", 1)],
        attachment_counts={"other": 1, "image": 1},
        reaction_counts={"👍": 1},
    ),
    message(
        "every control character",
        "".join(f"{character}https://a.example/" for character in _CONTROLS) + "\n(Reactions: \x01 👍)",
        '["\\u0001", "a\\u001f\\u007f"]', "\x02,\x1f \t", "\v\f",
        # The library ends a link at a control character, and starts another one after it.
        top_links=links(("https://a.example/", len(_CONTROLS))),
        top_tags=[tag("\x01", 1), tag("a\x1f\x7f", 1), tag("\x02", 1), tag("\x1f", 1)],
        reaction_counts={"👍": 1},
    ),
    message(
        "NUL and lone surrogates in tags",
        "x",
        '["\\ud800", "\\udc00x", "\\ud83d\\ude00"]', '["a\\u0000", "\\u0000"]', "\0,b",
        top_tags=[tag("\ufffd", 3), tag("\ufffdx", 1), tag("😀", 1), tag("a\ufffd", 1), tag("b", 1)],
    ),
    message("NUL in a body", "https://a.example/\0 x", top_links=links(("https://a.example/\ufffd", 1))),
    message(
        "tags nested a thousand deep",
        "x",
        f'["a", {"[" * 1000}{"]" * 1000}]', "[" * 100_000, f'["b", {"[" * 400}{"]" * 400}, "[[["]',
        top_tags=[tag("b", 1), tag("[[[", 1)],
    ),
    message(
        "labels of a megabyte",
        "x",
        f'["{"x" * 1_000_000}"]', "é" * 500_000, f'{"x" * 1_000_000},z',
        top_tags=[tag("x" * 1_000_000, 2), tag("é" * 500_000, 1), tag("z", 1)],
    ),
    message(
        "100,000 labels",
        "x",
        ",".join(map(str, range(100_000))), None, "99999",
        top_tags=[tag("99999", 2), tag("0", 1), tag("1", 1), tag("2", 1), tag("3", 1)],
    ),
    message(
        "links with quotes, backslashes and signs",
        "https://a.example/'q' https://a.example/\"q\" https://a.example/\\b\\ "
        "https://a.example/%25%s_%_ https://a.example/$$x$$",
        top_links=links(
            ("https://a.example/'q'", 1), ('https://a.example/"q"', 1), ("https://a.example/\\b\\", 1),
            ("https://a.example/%25%s_%_", 1), ("https://a.example/$$x$$", 1),
        ),
    ),
    message(
        "links with templates",
        # The library matches brackets in pairs and drops a bracket left over; the part after # is a fragment.
        "https://a.example/{{x}} https://b.example/{%x%} https://a.example/{{ x }} https://a.example/{#x#}",
        top_links=links(
            ("https://a.example/{{x}", 1), ("https://b.example/{%x%}", 1), ("https://a.example/", 1),
            ("https://a.example/{", 1),
        ),
    ),
    message(
        "labels and attachments with all of that",
        "[attachments: {{ x }}.png, {% x %}.PNG, $$.mp4, %s.pdf, \\.ogg, '.csv, \".csv, _%, \\N]",
        '["it\'s", "{{ 1 }}", "%s", "\\\\"]', "$$", None,
        top_tags=[tag("it's", 1), tag("{{ 1 }}", 1), tag("%s", 1), tag("\\", 1), tag("$$", 1)],
        attachment_counts={"image": 2, "video": 1, "document": 3, "audio": 1, "other": 2},
    ),
    *map(slug, HOSTILE_NAMES),
    slug("nul\0", "nul\ufffd"),
    *map(long_slug, [2000, 2001, 5000, 1_000_000]),
    *map(group_name, [*HOSTILE_NAMES, "x" * 1_000_000]),
    *map(user_name, ["", *HOSTILE_NAMES]),
    Entry("duplicate titles", duplicate_titles),
    Entry("duplicate memberships", duplicate_memberships),
    Entry("orphan comments", orphans),
    Entry("timestamps in the years 1 and 9999", timestamps),
    # Last, since SQLite picks ids at random once the greatest is taken.
    Entry("ids at the edges", ids),
]  # fmt: skip
