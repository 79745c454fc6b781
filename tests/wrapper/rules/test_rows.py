"""Rows of a database that the project did not write equal those worked out by hand from docs/rules.md."""

import contextlib
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

SEEN = ("first_seen_at", "last_seen_at")
EMPTY: dict[str, Any] = {"top_links": [], "top_tags": [], "reaction_counts": {}, "attachment_counts": {}}


def row(user_id: int, slug: str, messages: int, first: str, last: str, requests: list[int], **rest: Any) -> Any:
    return {
        "user_id": user_id, "group_slug": slug, "message_count": messages, "first_seen_at": first,
        "last_seen_at": last, "request_ids": requests, **EMPTY, **rest,
    }  # fmt: skip


def link(url: str, domain: str, count: int) -> dict[str, Any]:
    return {"url": url, "domain": domain, "count": count}


def tag(label: str, count: int) -> dict[str, Any]:
    return {"label": label, "count": count}


def awkward_whiteballoon(wb: WhiteBalloon) -> list[dict[str, Any]]:
    """Fill a WhiteBalloon and return the rows that it must give, by user and slug."""
    wb.request(1, "[Signal] Tool Library")
    wb.request(2, "\t[Signal] Tool Library \n")
    wb.request(3, "[Signal] tool library")
    wb.request(4, "[Signal] r:é'\";--")
    wb.request(5, "Need a ladder")
    for user_id in range(1, 8):
        wb.member(user_id, "tools", " Tool Library ")
    wb.member(8, "r:é'\";--", "  ")
    wb.member(9, "tools", "tool library")
    wb.member(9, "tools", "Tool Library")
    wb.member(1, "other tools", "Tool Library")
    wb.member(10, "tools", "Nowhere")
    wb.member(11, "", "Tool Library")

    # 1: two requests, a deleted comment, an ordinary request; in two groups of one name.
    wb.comment(1, "(no text)", request_id=2, at="2024-03-18 12:00:00")
    wb.comment(1, "second", request_id=1, at="2024-03-18 11:59:59.000001")
    wb.comment(1, "deleted https://a.example/", at="2020-01-01 00:00:00", deleted_at="2020-01-02 00:00:00")
    wb.comment(1, "https://a.example/", request_id=5, at="2020-01-01 00:00:00")
    # 2: links in quoted and closing lines; the same URL in six spellings; ties by first appearance.
    wb.comment(
        2,
        "> HTTPS://WWW.A.example:443/x?utm_source=s#f\n> https://late.example\n\n"
        "(https://www.a.example/x). <https://u:p@www.a.example/x?fbclid=1>\n\n"
        "[attachments: https://www.a.example/x]\n(Reactions: https://www.a.example/x, Jo 👍)",
        at="2024-01-02 00:00:00",
    )
    wb.comment(2, "https://b.example?b&&UTM_x=1&c https://early.example:80", at="2024-01-01 00:00:00")
    # 3: six links and six tags; the five most frequent are kept, and of equals the first.
    wb.comment(3, " ".join(f"http://{c}.example" for c in "abcdef"), tags=["a,b", '["c", "d"]', '["e","f","f"]'])
    # 4: reactions: commas in names, keycaps, a bare digit, no emoji, another line of that form.
    wb.comment(4, "(Reactions: no 👍)\ntext\n\n(Reactions: Smith, Jr. ❤️, Agent 7, Max 1️⃣, Ana ❤, 🏳️‍🌈, Bo +1)\n \n")
    # 5: attachments of each kind, with blanks, no dot, and capitals.
    wb.comment(5, "x\n\n[attachments: a.PNG, b.tar.gz, , c.Mov, png, .csv, d.opus]\t\n(Reactions: A 🎉)")
    wb.comment(5, "[attachments: nope.png]\n\n(Reactions: A 🎉)")
    # 6: tags: malformed, other types, blanks, NUL and half a surrogate pair, case; an analysis without text.
    wb.comment(6, "x", tags=['["a", 1, null, "  ", " b ", "n\\u0000", "\\ud800!"]', ' a ,, "q" ', '{"k": "a"}'])
    wb.comment(6, "y", tags=[None, "", "[]"])
    wb.comment(6, "z", tags=["[NaN]", "A", '["A"] x'])
    # 7: texts that are not links; a quote with a tab and Windows line ends.
    wb.comment(
        7, "> a\r\n\r\nwww.x.example a@x.example ftp://x.example xhttp://x.example http://x.example@ http://\r\n"
    )
    # 8: a slug with special characters replaces a blank name.
    wb.comment(8, "it's", request_id=4, at="2024-12-31 23:59:59.999999")
    # 9: the first of two memberships counts; its name differs in case from the other group's.
    wb.comment(9, "x", request_id=3)
    wb.comment(9, "y", request_id=1)
    # 10: no request of that name. 11: an empty slug. 12: no membership.
    for user_id in (10, 11, 12):
        wb.comment(user_id, "x")

    noon = "2024-03-18T12:00:00"
    return [
        row(1, "other tools", 2, "2024-03-18T11:59:59.000001", noon, [1, 2]),
        row(1, "tools", 2, "2024-03-18T11:59:59.000001", noon, [1, 2]),
        row(
            2, "tools", 2, "2024-01-01T00:00:00", "2024-01-02T00:00:00", [1],
            top_links=[
                link("https://www.a.example/x", "a.example", 5),
                link("https://b.example/?b&&c", "b.example", 1),
                link("https://early.example:80/", "early.example", 1),
                link("https://late.example/", "late.example", 1),
            ],
            reaction_counts={"👍": 1},
            attachment_counts={"other": 1},
        ),
        row(
            3, "tools", 1, noon, noon, [1],
            top_links=[link(f"http://{c}.example/", f"{c}.example", 1) for c in "abcde"],
            top_tags=[tag("f", 2), tag("a", 1), tag("b", 1), tag("c", 1), tag("d", 1)],
        ),
        row(4, "tools", 1, noon, noon, [1], reaction_counts={"❤️": 1, "1️⃣": 1, "❤": 1, "🏳️‍🌈": 1}),
        row(
            5, "tools", 2, noon, noon, [1],
            reaction_counts={"🎉": 2},
            attachment_counts={"image": 1, "other": 2, "video": 1, "document": 1, "audio": 1},
        ),
        row(
            6, "tools", 3, noon, noon, [1],
            top_tags=[tag("a", 2), tag(" b ", 1), tag("n\ufffd", 1), tag("\ufffd!", 1), tag('"q"', 1)],
        ),
        row(7, "tools", 1, noon, noon, [1]),
        row(8, "r:é'\";--", 1, "2024-12-31T23:59:59.999999", "2024-12-31T23:59:59.999999", [4]),
        row(9, "tools", 1, noon, noon, [3]),
    ]  # fmt: skip


def exported(wrapper: Wrapper) -> list[dict[str, Any]]:
    return [line["snapshot"] for line in wrapper.export()]


def test_rows_of_the_awkward_whiteballoon_are_those_worked_out_by_hand(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    expected = awkward_whiteballoon(whiteballoon)
    entry = wrapper.snapshot("--all")
    assert exported(wrapper) == expected
    assert (entry["target_users"], entry["attempted"], entry["generated"], entry["skipped"]) == (10, 11, 10, 1)
    assert (entry["changed"], entry["unchanged"], entry["removed"]) == (10, 0, 0)


def test_second_build_of_the_same_data_changes_nothing(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    tables = [f"signal_profiles.{table}" for table in ("signal_profile_snapshots", "signal_profile_snapshot_hashes")]

    def rows() -> list[list[tuple[Any, ...]]]:
        return [query(warehouse, f"select * from {table} order by user_id, group_slug") for table in tables]

    before = rows()
    assert [len(table) for table in before] == [10, 10]
    first = wrapper.snapshot("--all")
    second = wrapper.snapshot("--all", "--rebuild")
    assert rows() == before
    assert (second["changed"], second["unchanged"], second["removed"]) == (0, 10, 0)
    assert first["snapshots_digest"] == second["snapshots_digest"]


def test_months_add_up_to_the_message_count_and_span_of_each_snapshot(example: Wrapper) -> None:
    """Months count every message once, and begin and end where the snapshot does."""
    with contextlib.closing(psycopg2.connect(example.environ["WAREHOUSE_URL"])) as warehouse:
        rows = query(
            warehouse,
            "select user_id, group_slug, sum(message_count), min(month)::text, max(month)::text "
            "from signal_profiles.signal_profile_months group by 1, 2",
        )
    assert sorted(rows) == sorted(
        (row["user_id"], row["group_slug"], row["message_count"], *(f"{row[key][:8]}01" for key in SEEN))
        for row in exported(example)
    )
