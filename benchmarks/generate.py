"""Write a WhiteBalloon of any size, the same bytes each time: app.db and comment_llm_insights.db.

Usage: python -m benchmarks.generate FOLDER COMMENTS MEMBERSHIPS
"""

import argparse
import contextlib
import itertools
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from examples.make_whiteballoon import ANALYSES_SCHEMA, APP_SCHEMA, EMOJI, FILES, NAMES, fresh_database

LINKED, REACTED, ATTACHED, ANALYSED, QUOTING, DELETED, ELSEWHERE = 0.12, 0.12, 0.06, 0.40, 0.08, 0.01, 0.02
MEMBERSHIPS_PER_GROUP = 200
MEMBERSHIPS_PER_USER = 1.5
YEARS = 2
# One comment in so many is edited between two nights.
EDITED_ONE_IN = 1_000
# Half of the messages have up to MEDIAN_WORDS, few have hundreds: lengths of messages are log-normal.
MEDIAN_WORDS, SPREAD, LONGEST = 9, 0.9, 400
HOSTS, PAGES, LABELS, VOCABULARY = 400, 20_000, 300, 5_000
DECORATIONS = ["{}", "{}", "{}", "{}.", "({})", "<{}>", "{}#part", "{}?utm_source=signal", "{}?id=7&fbclid=x"]

Item = TypeVar("Item")


def zipf(rng: random.Random, items: Sequence[Item]) -> Iterator[Item]:
    """Draw items for ever, the n-th in proportion to 1 / n."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(items) + 1)))
    while True:
        yield from rng.choices(items, cum_weights=weights, k=1000)


class Bodies:
    """Comment bodies as WhiteBalloon's importer writes them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        letters = "etaoinshrdlucmfwypvbgkéñ"
        vocabulary = ["".join(rng.choices(letters, k=rng.randint(1, 10))) for _ in range(VOCABULARY)]
        self._words = zipf(rng, vocabulary)
        hosts = [f"{rng.choice(['www.', ''])}site{number}.example" for number in range(HOSTS)]
        pages = [f"https://{rng.choice(hosts)}/e/{number:x}" for number in range(PAGES)]
        self._links = zipf(rng, pages)
        self._emoji = zipf(rng, EMOJI)

    def compose(self) -> str:
        """Return the next body."""
        rng = self._rng
        lines = []
        if rng.random() < QUOTING:
            lines.append(f"> {self._text()}\n")
        text = self._text()
        if rng.random() < LINKED:
            text += " " + " ".join(rng.choice(DECORATIONS).format(next(self._links)) for _ in range(self._few()))
        lines.append(text)
        closing = []
        if rng.random() < ATTACHED:
            closing.append(f"[attachments: {', '.join(rng.choices(FILES, k=self._few()))}]")
        if rng.random() < REACTED:
            entries = [f"{rng.choice(NAMES)} {next(self._emoji)}" for _ in range(self._few())]
            closing.append(f"(Reactions: {', '.join(entries)})")
        if closing:
            lines.append("\n" + "\n".join(closing))
        return "\n".join(lines)

    def _few(self) -> int:
        """One, often enough two, rarely more: links, files or reactions of a message that has any."""
        return self._rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 2, 3])

    def _text(self) -> str:
        count = min(int(MEDIAN_WORDS * self._rng.lognormvariate(0, SPREAD)) + 1, LONGEST)
        return " ".join(itertools.islice(self._words, count))


class Whiteballoon:
    """Its members, its groups and, one after another, its comments and their analyses."""

    def __init__(self, comments: int, memberships: int) -> None:
        self.rng = rng = random.Random(comments * 1_000_003 + memberships)
        self.comments = comments
        users = max(int(memberships / MEMBERSHIPS_PER_USER), 1)
        groups = max(memberships // MEMBERSHIPS_PER_GROUP, 2)
        self.users = range(1, users + 1)
        self.groups = range(1, groups + 1)
        # No user is in a group twice, since a group has no more members than there are users.
        self.members = {group: rng.sample(self.users, min(memberships // groups, users)) for group in self.groups}

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield the rows of request_comments, oldest first."""
        rng = self.rng
        bodies = Bodies(rng)
        groups = zipf(rng, self.groups)
        authors = {group: zipf(rng, members) for group, members in self.members.items()}
        step = timedelta(days=365 * YEARS) / self.comments
        start = datetime(2024, 1, 1)
        for number in range(self.comments):
            group = next(groups)
            request = 0 if rng.random() < ELSEWHERE else group
            moment = str(start + number * step)
            deleted = moment if rng.random() < DELETED else None
            yield number + 1, request, next(authors[group]), bodies.compose(), "private", moment, deleted

    def analyses(self) -> Iterator[tuple[object, ...]]:
        """Yield the key and the tags of comment_llm_analyses."""
        rng = self.rng
        labels = zipf(rng, [f"label {number}" for number in range(LABELS)])
        for comment in range(1, self.comments + 1):
            if rng.random() < ANALYSED:
                # Few messages offer or ask for something; most have a topic or two.
                sizes = [rng.choice([0, 0, 0, 1, 1, 2]), rng.choice([0, 0, 0, 1, 1, 2]), rng.choice([0, 1, 1, 2, 2, 3])]
                yield comment, *(json.dumps(list(itertools.islice(labels, size))) for size in sizes)


def generate(folder: Path, comments: int, memberships: int) -> None:
    """Write the two files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whiteballoon = Whiteballoon(comments, memberships)
    since = "2024-01-01 00:00:00"

    app = fresh_database(folder / "app.db", APP_SCHEMA, "delete")
    app.executemany(
        "insert into users values (?, ?, null, 0, ?)", ((user, f"member{user}", since) for user in whiteballoon.users)
    )
    app.executemany(
        "insert into user_attributes (user_id, key, value, created_at, updated_at) values (?, ?, ?, ?, ?)",
        (
            (user, f"signal_import_group:group-{group}", f"Group {group}", since, since)
            for group, members in whiteballoon.members.items()
            for user in members
        ),
    )
    app.executemany(
        "insert into help_requests values (?, ?, '', 'open', null, 'private', ?)",
        ((group, f"[Signal] Group {group}", since) for group in whiteballoon.groups),
    )
    app.execute("insert into help_requests values (0, 'Need a ladder', '', 'open', null, 'private', ?)", (since,))
    app.executemany("insert into request_comments values (?, ?, ?, ?, ?, ?, ?)", whiteballoon.rows())
    app.commit()
    app.close()

    insights = fresh_database(folder / "comment_llm_insights.db", ANALYSES_SCHEMA, "delete")
    insights.executemany(
        "insert into comment_llm_analyses values "
        "(?, 'run-1', 0, 'A summary.', ?, ?, null, null, null, null, 'low', 'neutral', ?, null, '2026-01-01')",
        whiteballoon.analyses(),
    )
    insights.commit()
    insights.close()


def edit(folder: Path, number: int) -> None:
    """Put a link in front of one comment in a thousand, other ones for each number below a thousand."""
    with contextlib.closing(sqlite3.connect(folder / "app.db")) as app, app:
        app.execute(
            "update request_comments set body = 'https://edited.example/' || :number || ' ' || body "
            "where id % :one_in = :number",
            {"one_in": EDITED_ONE_IN, "number": number},
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("comments", type=int)
    parser.add_argument("memberships", type=int)
    generate(**vars(parser.parse_args()))
