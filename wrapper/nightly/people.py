"""WhiteBalloon's users and memberships, read from its own tables on demand and never stored."""

import dataclasses
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from wrapper.errors import ConfigurationError, UnknownNameError
from wrapper.nightly.sqlite_source import open_sqlite
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse.error_text import first_line
from wrapper.warehouse.known import memberships_query


def read_names(settings: Settings, connection: Connection | None) -> dict[int, str]:
    """Return the name of each of WhiteBalloon's users, by id.

    `connection` is a connection to the warehouse, needed if WhiteBalloon is on Postgres. Raises ConfigurationError if
    WhiteBalloon cannot be read.
    """
    return dict(_rows(settings, connection, "users", "select id, username from {}"))


def read_memberships(settings: Settings, connection: Connection | None) -> list[tuple[int, str]]:
    """Return the user id and the group's slug of each membership, oldest first.

    `connection` is as for read_names(). Raises ConfigurationError if WhiteBalloon cannot be read.
    """
    return _rows(settings, connection, "user_attributes", f"{memberships_query()} order by id")


def resolve(settings: Settings, connection: Connection | None, scope: Scope, user_argument: str = "--user") -> Scope:
    """Return the scope with user names replaced by ids.

    `connection` is as for read_names(); `user_argument` is the name of the option or argument for a user. Raises
    UnknownNameError for unknown users, and ConfigurationError if WhiteBalloon cannot be read.
    """
    if not scope.user_names:
        return scope
    ids = {name: user_id for user_id, name in read_names(settings, connection).items()}
    if unknown := [f"{user_argument} @{name}" for name in scope.user_names if name not in ids]:
        raise UnknownNameError(f"{', '.join(unknown)}: WhiteBalloon has no user of that name")
    found = dict.fromkeys([*(scope.user_ids or ()), *(ids[name] for name in scope.user_names)])
    return dataclasses.replace(scope, user_ids=tuple(found), user_names=())


def _rows(settings: Settings, connection: Connection | None, table: str, query: str) -> list[Any]:
    if settings.sqlite_path is not None:
        return _sqlite_rows(settings.sqlite_path, query.format(table))
    if connection is None:
        raise ValueError("WhiteBalloon on Postgres is read through a connection")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(sql.Identifier(settings.wb_schema, table)))
            return cursor.fetchall()
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(
            f"WB_SCHEMA: {settings.wb_schema}.{table} cannot be read: {first_line(error)} "
            "(deploy/roles.sql grants what is needed)"
        ) from error


def _sqlite_rows(path: Path, query: str) -> list[Any]:
    # No copy is made: reading so few rows blocks WhiteBalloon's commits only for milliseconds.
    with open_sqlite("DATABASE_URL", path) as source:
        source.connection.text_factory = lambda raw: raw.decode(errors="replace")
        return source.connection.execute(query).fetchall()
