"""Run the project's models over a list of bodies: the SQL that dbt compiles, on stand-ins for the tables it reads."""

import csv
import dataclasses
import itertools
import time
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from tests.wrapper.compiled import compile_models
from wrapper.dbt_project import PROJECT_DIR

_MODELS = ["int_link_stats", "int_reactions", "int_attachments", "int_tag_stats"]
_STAND_INS = """
create temporary table given (
    membership_id bigint, comment_id bigint, created_at timestamp, body text collate "C", tags text collate "C"
);
create temporary view int_messages as select *, {labels} as labels from given;
create temporary table attachment_kinds (extension text, kind text);
"""


@dataclasses.dataclass(frozen=True)
class Parsed:
    """What one body holds: (url, domain, count) by first appearance, and counts by emoji and by kind."""

    links: list[tuple[str, str, int]]
    reactions: dict[str, int]
    attachments: dict[str, int]


class Messages:
    """A database in which the models read bodies and tag texts, each body as the only message of a member."""

    def __init__(self, url: str, target_path: Path) -> None:
        self._sql = compile_models(_MODELS, target_path, url, labels="{{ tag_array('tags', 'null::jsonb') }}")
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self.cursor = self._connection.cursor()
        self.cursor.execute(_STAND_INS.format(labels=self._sql.pop("labels")))
        with (PROJECT_DIR / "seeds" / "attachment_kinds.csv").open() as file:
            kinds = [(row["extension"], row["kind"]) for row in csv.DictReader(file)]
        execute_values(self.cursor, "insert into attachment_kinds values %s", kinds)

    def close(self) -> None:
        self._connection.close()

    def fill(self, bodies: list[str], tags: list[str] | None = None) -> None:
        """Put the bodies, and tag texts that are not JSON arrays, where the models read them."""
        self.cursor.execute("truncate given")
        execute_values(
            self.cursor,
            "insert into given values %s",
            [
                (position, position, "2024-01-01", body, text)
                for position, (body, text) in enumerate(itertools.zip_longest(bodies, tags or []))
            ],
        )

    def run(self, model: str, columns: str) -> list[tuple[Any, ...]]:
        """Return the member and these columns of a model's rows, ordered by the columns."""
        self.cursor.execute(f"select membership_id, {columns} from ({self._sql[model]}) as rows order by {columns}")
        return self.cursor.fetchall()

    def seconds(self) -> float:
        """Return how many seconds it takes to read everything that was filled in."""
        started = time.monotonic()
        for sql in self._sql.values():
            self.cursor.execute(f"select count(*) from ({sql}) as rows")
        return time.monotonic() - started

    def parse(self, bodies: list[str]) -> list[Parsed]:
        """Return what the models find in each body."""
        self.fill(bodies)
        parsed = [Parsed([], {}, {}) for _ in bodies]
        for position, _, url, domain, count in self.run("int_link_stats", "first_appearance, url, domain, link_count"):
            parsed[position].links.append((url, domain, count))
        for position, emoji, count in self.run("int_reactions", "emoji, reaction_count"):
            parsed[position].reactions[emoji] = count
        for position, kind, count in self.run("int_attachments", "kind, attachment_count"):
            parsed[position].attachments[kind] = count
        return parsed
