"""The rights that a run needs in the warehouse."""

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from wrapper.errors import NoRightError
from wrapper.settings import Settings


def check_rights(settings: Settings, connection: Connection) -> None:
    """Check that the user of the warehouse has the rights that a run needs.

    Raises NoRightError for the first missing right.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("show transaction_read_only")
        if cursor.fetchone() == ("on",):
            raise NoRightError(
                "the warehouse is read-only: it is a standby, or default_transaction_read_only is on for it"
            )
        cursor.execute("select has_database_privilege(current_database(), 'temporary')")
        if cursor.fetchone() != (True,):
            # Without this check, a run would fail only after it has published.
            raise NoRightError(
                f"user {connection.info.user!r} may not create temporary tables, which a run needs: grant it temporary "
                f"on database {connection.info.dbname!r}, as deploy/roles.sql does"
            )
        for schema in (settings.warehouse_schema, settings.source_schema, settings.intermediate_schema):
            cursor.execute(
                """
                select case
                    when exists (select from pg_namespace where nspname = %(schema)s)
                        then has_schema_privilege(%(schema)s, 'usage') and has_schema_privilege(%(schema)s, 'create')
                    else has_database_privilege(current_database(), 'create')
                end
                """,
                {"schema": schema},
            )
            row = cursor.fetchone()
            if not (row and row[0]):
                raise NoRightError(
                    f"user {connection.info.user!r} may not write to schema {schema!r} of the warehouse: "
                    "grant it create there (or on the database, where the schema is missing)"
                )
