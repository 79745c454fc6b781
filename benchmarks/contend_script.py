"""The snapshots by a script as one would write it: one pass over a cursor, with `re` and `Counter`, then the hashes.

It reads Postgres's tables or WhiteBalloon's two SQLite files; only the cursor differs.

The link and closing-line rules are cut down to what the generated bodies hold.
"""

import csv
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.contender import Row, contend, is_postgres

KINDS = Path(__file__).parents[1] / "seeds" / "attachment_kinds.csv"
LINK = re.compile(r"https?://[^\s<>()]*[^\s<>().]")
TRACKING = re.compile(r"utm_|fbclid=")
REACTIONS = re.compile(r"\(Reactions: (.+)\)$")
ATTACHMENTS = re.compile(r"\n\[attachments: (.+)\]")

QUERY = """
select m.user_id, substr(m.key, 21), c.help_request_id, c.created_at, c.body, a.resource_tags, a.request_tags, a.tags
from {0}.request_comments as c
join {0}.help_requests as r on c.help_request_id = r.id
join {0}.user_attributes as m on m.user_id = c.user_id and trim(r.title) = '[Signal] ' || trim(m.value)
left join {1}.comment_llm_analyses as a on a.comment_id = c.id
where c.deleted_at is null and substr(m.key, 1, 20) = 'signal_import_group:'
order by c.created_at, c.id
"""


class Member:
    """What one member did in one group so far."""

    def __init__(self) -> None:
        # SQLite has times as text, which sorts as they do.
        self.times: list[datetime | str] = []
        self.requests: set[int] = set()
        self.links: Counter[tuple[str, str]] = Counter()
        self.tags: Counter[str] = Counter()
        self.reactions: Counter[str] = Counter()
        self.attachments: Counter[str] = Counter()


def canonical(link: str) -> tuple[str, str]:
    """Return a link's canonical URL and its domain."""
    location, _, query = link.partition("#")[0].partition("?")
    scheme, _, rest = location.partition("://")
    host, slash, path = rest.partition("/")
    kept = "&".join(parameter for parameter in query.split("&") if parameter and not TRACKING.match(parameter))
    url = f"{scheme.lower()}://{host.lower()}{slash or '/'}{path}{'?' if kept else ''}{kept}"
    return url, host.lower().removeprefix("www.")


def read_postgres(url: str, schema: str) -> Iterator[tuple[Any, ...]]:
    """Yield the messages in their order from the tables of a schema."""
    with psycopg2.connect(url) as connection, connection.cursor(name="messages") as cursor:
        cursor.itersize = 10_000
        cursor.execute(QUERY.format(schema, schema))
        yield from cursor


def read_sqlite(app: str, analyses: str) -> Iterator[tuple[Any, ...]]:
    """Yield the messages in their order from WhiteBalloon's two files."""
    connection = sqlite3.connect(app)
    connection.execute("attach ? as analyses", (analyses,))
    yield from connection.execute(QUERY.format("main", "analyses"))
    connection.close()


def compute(*source: str) -> Iterable[Row]:
    """Read the messages in their order and return the snapshots' rows."""
    read = read_postgres if is_postgres(source[0]) else read_sqlite
    with KINDS.open() as file:
        kinds = {row["extension"]: row["kind"] for row in csv.DictReader(file)}
    members: defaultdict[tuple[int, str], Member] = defaultdict(Member)
    for user_id, slug, request_id, created_at, body, *tags in read(*source):
        member = members[user_id, slug]
        member.times.append(created_at)
        member.requests.add(request_id)
        if "://" in body:
            member.links.update(map(canonical, LINK.findall(body)))
        for column in tags:
            if column:
                member.tags.update(json.loads(column))
        if found := REACTIONS.search(body):
            member.reactions.update(entry.split()[-1] for entry in found[1].split(","))
        if found := ATTACHMENTS.search(body):
            names = (name.strip() for name in found[1].split(","))
            member.attachments.update(kinds.get(name.rpartition(".")[2].lower(), "other") for name in names)
    return [
        {
            "user_id": user_id,
            "group_slug": slug,
            "message_count": len(member.times),
            "first_seen_at": member.times[0],
            "last_seen_at": member.times[-1],
            # most_common() keeps the order of first appearance among equals.
            "top_links": [{"url": u, "domain": d, "count": n} for (u, d), n in member.links.most_common(5)],
            "top_tags": [{"label": label, "count": n} for label, n in member.tags.most_common(5)],
            "reaction_counts": dict(member.reactions),
            "attachment_counts": dict(member.attachments),
            "request_ids": sorted(member.requests),
        }
        for (user_id, slug), member in members.items()
    ]


if __name__ == "__main__":
    contend(compute, hashes_count=True)
