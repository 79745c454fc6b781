"""Reading what is published, as of one moment."""

import contextlib
from collections.abc import Iterator

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from wrapper.errors import ConfigurationError
from wrapper.scope import EVERYTHING, Scope
from wrapper.warehouse import relations
from wrapper.warehouse.connection import NOTHING_PUBLISHED, Warehouse
from wrapper.warehouse.known import refuse_unknown


@contextlib.contextmanager
def reading(warehouse: Warehouse, scope: Scope = EVERYTHING, user_argument: str = "--user") -> Iterator[Connection]:
    """Open a read-only transaction that sees one moment of what is published.

    Raises ConfigurationError if nothing is published yet, or a user or group of the scope is unknown there;
    `user_argument` is what the command line calls a user.
    """
    settings = warehouse.settings
    with warehouse.connection as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            # A build creates this view last.
            if not relations.exists(cursor, relations.freshness(settings)):
                raise ConfigurationError(NOTHING_PUBLISHED)
            # A release without the table of memberships may have published last.
            published = (relations.snapshots(settings), relations.memberships(settings))
            known = [table for table in published if relations.exists(cursor, table)]
            refuse_unknown(cursor, scope, known, user_argument)
        yield connection
