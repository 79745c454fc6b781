"""Publishing highlights by statements that dbt compiled, since they take far less time than the start of dbt."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.nightly.unchanged import Inputs, Unit, digest, published_relations
from wrapper.warehouse import relations

# The unit is this model and all that is built from it, as in the selector `highlights` of selectors.yml.
FIRST_MODEL = "model.signal_profiles.int_highlights"
_REPLACE_ROWS = sql.SQL("{empty} {table}; insert into {table} ({columns}) select {columns} from ({query}) as built")


def publish(cursor: Cursor, inputs: Inputs) -> bool:
    """Publish the highlights in this transaction; if that is not possible, roll it back and return False.

    It is possible if only rows have changed since dbt compiled the statements, and if none of these fails.
    """
    table = relations.compiled_highlights(inputs.settings)
    published = sql.SQL(", ").join(Unit.HIGHLIGHTS.tables(inputs.settings))
    # dbt re-creates a missing table, and names what failed.
    with contextlib.suppress(psycopg2.ProgrammingError, psycopg2.IntegrityError, psycopg2.DataError):
        cursor.execute(
            # What somebody else may have written is not executed.
            sql.SQL(
                """
                select statements
                from {} as compiled inner join pg_class on pg_class.oid = compiled.tableoid
                where compiled_from = %s and pg_get_userbyid(relowner) = current_user
                """
            ).format(table),
            (_compiled_from(cursor, inputs),),
        )
        [statements] = cursor.fetchone() or [[]]
        # Once WhiteBalloon's own table is read, its migrations wait for this transaction, which must not wait itself.
        cursor.execute(sql.SQL("lock table {} in share update exclusive mode").format(published))
        if statements and all(_passes(cursor, statement) for statement in statements):
            cursor.execute(sql.SQL("analyze {}").format(published))
            return True
    cursor.connection.rollback()
    return False


def _passes(cursor: Cursor, statement: str) -> bool:
    """Execute a statement; return False if it is the query of a data test and finds a row."""
    cursor.execute(statement)
    return not (cursor.description and cursor.fetchone())


def remember(cursor: Cursor, inputs: Inputs, results: Sequence[Any]) -> None:
    """Store what dbt compiled for the highlights, if these results of a build are not empty."""
    statements = list(_statements(cursor, results))
    if not statements:
        return
    table = relations.compiled_highlights(inputs.settings)
    if not relations.exists(cursor, table):
        cursor.execute(sql.SQL("create table {} (compiled_from text, statements text[])").format(table))
    cursor.execute(
        sql.SQL("delete from {0}; insert into {0} values (%s, %s)").format(table),
        (_compiled_from(cursor, inputs), statements),
    )


def _compiled_from(cursor: Cursor, inputs: Inputs) -> str:
    """Return a digest of what the statements depend on: the rules, the database and the published relations."""
    database = cursor.connection.info.dbname
    return digest([database, inputs.rules(cursor), published_relations(cursor, inputs.settings)])


def _statements(cursor: Cursor, results: Sequence[Any]) -> Iterator[str]:
    """Return the unit's statements in order: those that replace all rows of a table, and the queries of data tests."""
    unit = {FIRST_MODEL}
    # Each result comes after those that it depends on.
    for node in (result.node for result in results):
        if node.unique_id != FIRST_MODEL and unit.isdisjoint(node.depends_on_nodes):
            continue
        unit.add(node.unique_id)
        if node.resource_type == "test":
            yield node.compiled_code
        elif node.config.materialized != "published_view":
            table = sql.SQL(node.relation_name)
            cursor.execute(sql.SQL("select * from {} limit 0").format(table))
            yield _REPLACE_ROWS.format(
                # No dead rows in the table that dbt would re-create; a published table goes on being read.
                empty=sql.SQL("truncate" if node.config.materialized == "table" else "delete from"),
                table=table,
                columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in cursor.description or ()),
                query=sql.SQL(node.compiled_code),
            ).as_string(cursor)
