"""The version of the published contract: stored in a table, checked before each run, upgraded on request."""

import dataclasses

from psycopg2 import sql

from wrapper.dbt_project import project_vars
from wrapper.errors import ConfigurationError
from wrapper.warehouse import relations
from wrapper.warehouse.connection import Warehouse

# Relations of others that depend on published relations, directly or through views.
_OTHERS = """
with recursive dependent as (
    select view.oid, view.oid::regclass::text as name
    from pg_depend
    inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
    inner join pg_class as view on view.oid = pg_rewrite.ev_class
    where pg_depend.refobjid = any(%(published)s::oid[]) and view.oid <> pg_depend.refobjid
    union
    select view.oid, view.oid::regclass::text
    from dependent
    inner join pg_depend on pg_depend.refobjid = dependent.oid
    inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
    inner join pg_class as view on view.oid = pg_rewrite.ev_class
    where view.oid <> dependent.oid
)
select name from dependent where not oid = any(%(published)s::oid[]) order by name
"""


@dataclasses.dataclass(frozen=True)
class Upgrade:
    """What an upgrade drops: the published relations of another version, and other people's views on them."""

    version: int
    relations: list[str]
    views_of_others: list[str]


def check_version(warehouse: Warehouse) -> None:
    """Check that the published relations, if any, have this version of the contract.

    Raises ConfigurationError, naming the command that upgrades them.
    """
    found = _published_version(warehouse)
    if found is not None and found != _own_version():
        raise ConfigurationError(
            f"schema {warehouse.settings.warehouse_schema} holds version {found} of the published contract, and this "
            f"is version {_own_version()}: run `wrapper upgrade` to see what would be replaced"
        )


def plan_upgrade(warehouse: Warehouse) -> Upgrade | None:
    """Return what an upgrade would drop; None if nothing is published or the version is current."""
    version = _published_version(warehouse)
    if version is None or version == _own_version():
        return None
    with warehouse.connection as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            select oid, oid::regclass::text from pg_class
            where relnamespace = to_regnamespace(%s) and relkind in ('r', 'v') and starts_with(relname, %s)
                and oid <> coalesce(to_regclass(%s), 0::oid)
            order by relname
            """,
            (
                sql.Identifier(warehouse.settings.warehouse_schema).as_string(cursor),
                relations.PREFIX,
                relations.hashes(warehouse.settings).as_string(cursor),
            ),
        )
        published = cursor.fetchall()
        cursor.execute(_OTHERS, {"published": [oid for oid, _ in published]})
        return Upgrade(version, [name for _, name in published], [name for (name,) in cursor.fetchall()])


def upgrade(warehouse: Warehouse, plan: Upgrade) -> None:
    """Drop what the plan names, in one transaction; the next run of all members publishes it again.

    The hashes stay, so that the next run knows which snapshots changed.
    """
    with warehouse.connection as connection, connection.cursor() as cursor:
        for name in plan.relations:
            # Postgres has quoted these names; a view may have been dropped along with an earlier one.
            cursor.execute("select relkind from pg_class where oid = to_regclass(%s)", (name,))
            if row := cursor.fetchone():
                cursor.execute(f"drop {'view' if row[0] == 'v' else 'table'} {name} cascade")


def _own_version() -> int:
    return int(project_vars()["contract_version"])


def _published_version(warehouse: Warehouse) -> int | None:
    # The macro published_contract_version() does the same for plain dbt.
    contract, snapshots = relations.contract(warehouse.settings), relations.snapshots(warehouse.settings)
    with warehouse.connection as connection, connection.cursor() as cursor:
        if relations.exists(cursor, contract):
            cursor.execute(sql.SQL("select max(contract_version) from {}").format(contract))
            row = cursor.fetchone()
            if row and row[0] is not None:
                return int(row[0])
        if not relations.exists(cursor, snapshots):
            return None
        cursor.execute(
            "select substring(obj_description(to_regclass(%s), 'pg_class') from 'Contract version ([0-9]+)[.]$')",
            (snapshots.as_string(cursor),),
        )
        row = cursor.fetchone()
        return int(row[0]) if row and row[0] else 1
