"""Publishing WhiteBalloon's current highlights without building snapshots."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.errors import BuildError, ConfigurationError
from wrapper.nightly import compiled, dbt_client, unchanged
from wrapper.nightly.in_place import source_vars
from wrapper.nightly.load import load_highlights
from wrapper.nightly.unchanged import Inputs, Unit
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations
from wrapper.warehouse.connection import NOTHING_PUBLISHED, Warehouse
from wrapper.warehouse.contract import check_version
from wrapper.warehouse.error_text import first_line
from wrapper.warehouse.rights import check_rights


def refresh(warehouse: Warehouse) -> None:
    """Read WhiteBalloon's highlights and publish them if they have changed, holding the lock of a run.

    Raises NoRightError if the user of the warehouse may not write, ConfigurationError if nothing is published or
    WhiteBalloon cannot be read, LockedError while a run holds the lock, and BuildError if a data test fails.
    """
    with warehouse.connection as connection, connection.cursor() as cursor:
        if not relations.exists(cursor, relations.snapshots(warehouse.settings)):
            raise ConfigurationError(NOTHING_PUBLISHED)
    check_rights(warehouse.settings, warehouse.connection)
    warehouse.run_lock.acquire(0)
    try:
        check_version(warehouse)
        inputs = Inputs(warehouse.settings, source_vars(warehouse), load_highlights(warehouse))
        publish_if_changed(warehouse, inputs, lambda doing: None)
    finally:
        warehouse.run_lock.release()


def publish_if_changed(warehouse: Warehouse, inputs: Inputs, on_progress: Callable[[str], None]) -> None:
    """Publish the loaded highlights, unless they are published already.

    Raises BuildError if a data test or the warehouse fails.
    """
    settings = warehouse.settings
    try:
        with warehouse.connection as connection, connection.cursor() as cursor:
            before = inputs.digest(cursor, Unit.HIGHLIGHTS)
            if unchanged.recall(cursor, settings, Unit.HIGHLIGHTS, Scope(), before) is not None:
                return
        with warehouse.connection as connection, connection.cursor() as cursor:
            if published := compiled.publish(cursor, inputs):
                remember(cursor, inputs, before)
        if not published:
            results = dbt_client.build(settings, dbt_client.HIGHLIGHTS, inputs.sources, {}, on_progress)
            with warehouse.connection as connection, connection.cursor() as cursor:
                remember(cursor, inputs, before, results)
        warehouse.vacuum()
    except psycopg2.Error as error:
        raise BuildError(f"publishing the highlights failed: {first_line(error)}") from error


def remember(cursor: Cursor, inputs: Inputs, before: str | None, results: Sequence[Any] = ()) -> None:
    """Remember that these highlights are published, if they have not changed since the digest `before`.

    `results` are those of the build, if dbt published them.
    """
    compiled.remember(cursor, inputs, results)
    if before == inputs.digest(cursor, Unit.HIGHLIGHTS):
        unchanged.remember(cursor, inputs.settings, Unit.HIGHLIGHTS, Scope(), before, unchanged.Counts())


def count_stale_highlights(connection: Connection, settings: Settings) -> int:
    """Return how many of WhiteBalloon's bios are to be rewritten; members without one are not among them."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select count(*) from {} as f inner join {} as h using (user_id) where not f.is_fresh").format(
                relations.freshness(settings), relations.highlights(settings)
            )
        )
        row = cursor.fetchone()
        return int(row[0]) if row else 0
