"""Publishing highlights by the statements that dbt compiled for them, since dbt takes longer to start than they do."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.nightly.unchanged import Inputs, digest, published_relations
from wrapper.warehouse import relations

# The unit is this model and all that is built from it, as in the selector `highlights` of selectors.yml.
_FIRST_MODEL = "model.signal_profiles.int_highlights"
_REPLACE_ROWS = sql.SQL("delete from {0}; insert into {0} ({1}) select {1} from ({2}) as built; analyze {0}")


def publish(cursor: Cursor, inputs: Inputs) -> bool:
    """Publish the highlights in this transaction; if that is not possible, roll it back and return False.

    It is possible if only rows have changed since dbt compiled the statements, and if none of these fails.
    """
    table = relations.compiled_highlights(inputs.settings)
    if not relations.exists(cursor, table):
        return False
    cursor.execute(
        sql.SQL("select statements from {} where compiled_from = %s").format(table), (_compiled_from(cursor, inputs),)
    )
    row = cursor.fetchone()
    if row is None:
        return False
    try:
        for statement in row[0]:
            cursor.execute(statement)
            # The query of a data test finds the rows that fail it.
            if cursor.description and cursor.fetchone():
                break
        else:
            return True
    except (psycopg2.ProgrammingError, psycopg2.IntegrityError, psycopg2.DataError):
        # dbt re-creates a missing table, and names what failed.
        pass
    cursor.connection.rollback()
    return False


def remember(cursor: Cursor, inputs: Inputs, results: Sequence[Any]) -> None:
    """Store what dbt compiled for the highlights, if these results of a build are not empty."""
    if statements := list(_statements(cursor, results)):
        cursor.execute(
            sql.SQL(
                """
                drop table if exists {0};
                create table {0} as select %s::text as compiled_from, %s::text[] as statements
                """
            ).format(relations.compiled_highlights(inputs.settings)),
            (_compiled_from(cursor, inputs), statements),
        )


def _compiled_from(cursor: Cursor, inputs: Inputs) -> str:
    """Return a digest of what the statements depend on, and of the relations, whose definitions they do not change."""
    database = cursor.connection.info.dbname
    return digest([database, inputs.rules(cursor), published_relations(cursor, inputs.settings)])


def _statements(cursor: Cursor, results: Sequence[Any]) -> Iterator[str]:
    """Return the unit's statements in order: those that replace all rows of a table, and the queries of data tests."""
    unit = {_FIRST_MODEL}
    # Each result comes after those that it depends on.
    for node in (result.node for result in results):
        if node.unique_id != _FIRST_MODEL and unit.isdisjoint(node.depends_on_nodes):
            continue
        unit.add(node.unique_id)
        if node.resource_type == "test":
            yield node.compiled_code
        elif node.config.materialized != "published_view":
            relation = sql.SQL(node.relation_name)
            cursor.execute(sql.SQL("select * from {} limit 0").format(relation))
            columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in cursor.description or ())
            yield _REPLACE_ROWS.format(relation, columns, sql.SQL(node.compiled_code)).as_string(cursor)
