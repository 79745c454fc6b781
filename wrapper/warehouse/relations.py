"""The name of each relation that the wrapper reads or writes in the warehouse, and whether it exists."""

from collections.abc import Callable

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.settings import Settings

# The names of all published relations begin with this.
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

# The memberships in the scope of the last build, and its finished rows before they are published.
built_memberships = _intermediate("int_memberships")
candidates = _intermediate("int_snapshot_candidates")
# Written and read by nightly/unchanged.py.
last_builds = _intermediate("last_builds")
# Written and read by nightly/compiled.py.
compiled_highlights = _intermediate("compiled_highlights")


def source(settings: Settings, table: str) -> sql.Identifier:
    """Return the relation to read for a table of WhiteBalloon: its own on Postgres, else our copy."""
    return sql.Identifier(settings.read_schema, table)


def exists(cursor: Cursor, relation: sql.Identifier) -> bool:
    """Return whether the warehouse has the relation."""
    cursor.execute("select to_regclass(%s) is not null", (relation.as_string(cursor),))
    row = cursor.fetchone()
    return bool(row and row[0])
