"""Detecting that the warehouse still holds an equal copy of a SQLite table, so that it need not be copied again."""

import dataclasses
import json

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.dbt_project import SourceTable
from wrapper.nightly.unchanged import digest, project_digest, table_state
from wrapper.settings import Settings


@dataclasses.dataclass(frozen=True)
class Copy:
    """A copied table: a digest of its content, how many rows it has, and how many values had characters replaced."""

    digest: str
    rows: int
    replaced: int = 0


def remember(cursor: Cursor, settings: Settings, table: SourceTable, pages: str | None, copy: Copy) -> None:
    """Store on the copy, as its comment, what it was made from and the state it is in."""
    # The rows of a distributed table are on workers, which have transaction numbers of their own.
    if pages is None or (table.distributed_by and settings.var("distributed")):
        return
    relation = sql.Identifier(settings.source_schema, table.name)
    cursor.execute(
        sql.SQL("comment on table {} is %s").format(relation),
        (json.dumps([_made_from(settings, pages), _state(cursor, relation), dataclasses.asdict(copy)]),),
    )


def recall(cursor: Cursor, settings: Settings, table: SourceTable, pages: str | None) -> Copy | None:
    """Return the copy if it was made from these pages, by this project, and has not been written to since."""
    relation = sql.Identifier(settings.source_schema, table.name)
    cursor.execute("select obj_description(to_regclass(%s), 'pg_class')", (relation.as_string(cursor),))
    [comment] = cursor.fetchone() or [None]
    try:
        made_from, state, copy = json.loads(comment or "null")
    except (TypeError, ValueError):
        return None
    if pages is None or made_from != _made_from(settings, pages) or state != _state(cursor, relation):
        return None
    return Copy(**copy)


def _made_from(settings: Settings, pages: str) -> str:
    return digest([pages, project_digest(), settings.vars])


def _state(cursor: Cursor, relation: sql.Identifier) -> str:
    return digest(table_state(cursor, relation))
