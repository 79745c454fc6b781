"""Detecting that nothing has changed since the last run, neither inputs nor published rows, so dbt need not run."""

import dataclasses
import enum
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.extras import Json

from wrapper.dbt_project import PROJECT_DIR, SourceTable, source_tables
from wrapper.nightly.hashes import EMPTY_DIGEST
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations

_PACKAGE_DIR = Path(__file__).resolve().parents[1]
# Each write changes xmin or ctid, so the values of rows need not be read.
_ROWS = """
select count(*), sum(hashtextextended(xmin::text || ctid::text, 0))::text from {table} where {condition}
"""
_RELATIONS = """
select
    oid, relname, relfilenode, relacl::text, obj_description(oid), {columns},
    case when relkind = 'v' then pg_get_viewdef(oid) end
from pg_class
where relnamespace = to_regnamespace(%s) and relkind in ('r', 'v') and starts_with(relname, %s)
order by relname
"""
_TABLE = """
select pg_relation_filenode(oid), {columns} from pg_class where oid = %s::regclass and relkind = 'r'
"""
_COLUMNS = """array(
    select format('%%s %%s %%s', attnum, attname, atttypid)
    from pg_attribute where attrelid = pg_class.oid and attnum > 0 and not attisdropped order by attnum
)"""


@dataclasses.dataclass(frozen=True)
class Counts:
    """The counts of a run that built, logged again for later runs that had nothing to build."""

    target_users: int = 0
    attempted: int = 0
    generated: int = 0
    snapshots_digest: str = EMPTY_DIGEST


class Unit(enum.Enum):
    """A set of models that is published together; `meta.unit` names it in the dbt project."""

    SNAPSHOTS = "snapshots"
    HIGHLIGHTS = "highlights"

    def reads(self, table: SourceTable) -> bool:
        """Return whether the unit is built from this table."""
        return table.is_highlights == (self is Unit.HIGHLIGHTS)

    def tables(self, settings: Settings) -> list[sql.Identifier]:
        """Return the published tables whose rows the unit replaces."""
        if self is Unit.HIGHLIGHTS:
            return [relations.highlights(settings)]
        tables = (relations.snapshots, relations.hashes, relations.bio_inputs, relations.memberships, relations.months)
        return [table(settings) for table in tables]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """All inputs of a run: the project and WhiteBalloon's rows.

    `sources` are the dbt vars that locate the rows. `loaded` has the digests of the tables that were copied; tables on
    Postgres are inspected in place.
    """

    settings: Settings
    sources: dict[str, str]
    loaded: dict[str, str]

    def rules(self, cursor: Cursor) -> dict[str, object]:
        """Return what decides the published rows, apart from WhiteBalloon's own rows."""
        return {
            "project": project_digest(),
            "server": cursor.connection.info.server_version,
            "sources": self.sources,
            "vars": self.settings.vars,
        }

    def digest(self, cursor: Cursor, unit: Unit) -> str | None:
        """Return a digest of the current inputs of the unit.

        Returns None if changes of WhiteBalloon's rows cannot be detected, for example behind a view.
        """
        found = self.rules(cursor)
        for table in filter(unit.reads, source_tables()):
            found[table.name] = self.loaded.get(table.name) or table_state(
                cursor, sql.Identifier(self.settings.wb_schema, table.name)
            )
        return None if None in found.values() else digest(found)


def project_digest(folders: Iterable[Path] = (_PACKAGE_DIR, PROJECT_DIR)) -> str:
    """Return a digest of the code in these folders and of the versions of the packages that run it."""
    digest = hashlib.sha256()
    for package in ("signal-profile-snapshots", "dbt-core", "dbt-postgres"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for folder in folders:
        for path in sorted(_code(folder)):
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _code(folder: Path) -> Iterable[Path]:
    for name in ("macros", "models", "seeds", "tests/generic", "tests/intermediate", "nightly", "warehouse"):
        yield from (path for path in (folder / name).rglob("*") if path.is_file() and path.suffix != ".pyc")
    for name in ("dbt_project.yml", "profiles.yml", "selectors.yml", "*.py"):
        yield from folder.glob(name)


def table_state(cursor: Cursor, table: sql.Identifier) -> object:
    """Return a value that changes with each write to the table, or None if it is not a table, or `missing`."""
    if not relations.exists(cursor, table):
        return "missing"
    cursor.execute(_TABLE.format(columns=_COLUMNS), (table.as_string(cursor),))
    kind = cursor.fetchone()
    if kind is None:
        return None
    cursor.execute(sql.SQL(_ROWS).format(table=table, condition=sql.SQL("true")))
    return [kind, cursor.fetchone()]


def remember(cursor: Cursor, settings: Settings, unit: Unit, scope: Scope, inputs: str | None, counts: Counts) -> None:
    """Store the inputs and the published state of a unit, in the transaction that completes its publishing."""
    if inputs is None:
        return
    table = relations.last_builds(settings)
    if not relations.exists(cursor, table):
        cursor.execute(
            sql.SQL("create table {} (build text primary key, inputs text, published text, counts jsonb)").format(table)
        )
    cursor.execute(
        sql.SQL(
            """
            insert into {} as stored values (%s, %s, %s, %s)
            on conflict (build) do update
            set inputs = excluded.inputs, published = excluded.published, counts = excluded.counts
            """
        ).format(table),
        (
            _build(unit, scope),
            inputs,
            _published(cursor, settings, unit, scope),
            Json(dataclasses.asdict(counts)),
        ),
    )


def recall(cursor: Cursor, settings: Settings, unit: Unit, scope: Scope, inputs: str | None) -> Counts | None:
    """Return the counts of the unit's last build, if building from these inputs would publish the same rows."""
    table = relations.last_builds(settings)
    if not relations.exists(cursor, table) or not all(
        relations.exists(cursor, published) for published in unit.tables(settings)
    ):
        return None
    cursor.execute(
        sql.SQL("select published, counts from {} where build = %s and inputs = %s").format(table),
        (_build(unit, scope), inputs),
    )
    row = cursor.fetchone()
    return Counts(**row[1]) if row and row[0] == _published(cursor, settings, unit, scope) else None


def published_relations(cursor: Cursor, settings: Settings) -> list[tuple[object, ...]]:
    """Return the definitions and rights of all published relations, without their rows."""
    schema = sql.Identifier(settings.warehouse_schema).as_string(cursor)
    cursor.execute(_RELATIONS.format(columns=_COLUMNS), (schema, relations.PREFIX))
    return cursor.fetchall()


def _published(cursor: Cursor, settings: Settings, unit: Unit, scope: Scope) -> str:
    """Return a digest of all published relations, and of the scope's rows in the unit's tables."""
    found: list[object] = [published_relations(cursor, settings)]
    for table in unit.tables(settings):
        cursor.execute(sql.SQL(_ROWS).format(table=table, condition=scope.predicate), scope.parameters())
        found.append(cursor.fetchone())
    return digest(found)


def _build(unit: Unit, scope: Scope) -> str:
    return digest([unit.value, scope.parameters()])


def digest(value: object) -> str:
    """Return a digest of the value's JSON, in which types that JSON lacks are written as text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
