"""The name of each relation that the wrapper reads or writes in the warehouse, and whether it exists."""

from collections.abc import Callable

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.settings import Settings

# What every published relation is called, before a word of its own.
PREFIX = "signal_profile_"
Name = Callable[[Settings], sql.Identifier]


def _published(name: str) -> Name:
    return lambda settings: sql.Identifier(settings.warehouse_schema, PREFIX + name)


def _intermediate(name: str) -> Name:
    return lambda settings: sql.Identifier(settings.intermediate_schema, name)


snapshots = _published("snapshots")
hashes = _published("snapshot_hashes")
memberships = _published("memberships")
months = _published("months")
bio_inputs = _published("bio_inputs")
highlights = _published("highlights")
freshness = _published("highlight_freshness")
links = _published("links")
tags = _published("tags")
reactions = _published("reactions")
attachments = _published("attachments")
runs = _published("runs")
contract = _published("contract")

# What the last build had in its scope, and its finished rows that are not published yet.
built_memberships = _intermediate("int_memberships")
candidates = _intermediate("int_snapshot_candidates")
# What nightly/unchanged.py remembers.
last_builds = _intermediate("last_builds")


def source(settings: Settings, table: str) -> sql.Identifier:
    """Return where a table of WhiteBalloon's own is read: in its schema on Postgres, else the copy of it."""
    return sql.Identifier(settings.read_schema, table)


def exists(cursor: Cursor, relation: sql.Identifier) -> bool:
    """Tell whether the warehouse has the relation."""
    cursor.execute("select to_regclass(%s) is not null", (relation.as_string(cursor),))
    row = cursor.fetchone()
    return bool(row and row[0])
