"""Hashing the published snapshots, and storing the hashes beside them."""

import dataclasses
import hashlib
import itertools
from collections.abc import Callable

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extras import execute_values

from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations
from wrapper.warehouse.runs import record_run
from wrapper.warehouse.snapshots import read_snapshots

_BATCH = 1000
# The digest of no hashes at all.
EMPTY_DIGEST = hashlib.sha256().hexdigest()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run changed, or a dry run would change, in its scope."""

    generated: int
    changed: int
    removed: int
    snapshots_digest: str


def count_memberships(cursor: Cursor, settings: Settings) -> tuple[int, int]:
    """Return how many members and how many memberships the last build had in its scope."""
    memberships = relations.built_memberships(settings)
    cursor.execute(sql.SQL("select count(distinct user_id), count(*) from {}").format(memberships))
    row = cursor.fetchone() or (0, 0)
    return row[0], row[1]


def store_hashes(
    connection: Connection,
    settings: Settings,
    scope: Scope,
    run_id: str,
    dry_run: bool,
    complete: Callable[[Cursor, Outcome], None],
) -> Outcome:
    """Hash the snapshots in the scope, compare the hashes with the stored ones and store changes, in one transaction.

    `complete` is called at the end of that transaction. A dry run hashes the candidates instead of the published rows,
    stores nothing and does not call `complete`.
    """
    table = relations.candidates(settings) if dry_run else relations.snapshots(settings)
    hashes = relations.hashes(settings)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """
            create temporary table current_hashes (user_id bigint, group_slug text, snapshot_hash text) on commit drop;
            create temporary table stored_hashes (user_id bigint, group_slug text, snapshot_hash text) on commit drop;
            """
        )
        snapshots = read_snapshots(connection, table, scope)
        while batch := list(itertools.islice(snapshots, _BATCH)):
            execute_values(
                cursor,
                "insert into current_hashes values %s",
                [(snapshot.user_id, snapshot.group_slug, snapshot.snapshot_hash()) for snapshot in batch],
                page_size=_BATCH,
            )
        if relations.exists(cursor, hashes):
            cursor.execute(
                sql.SQL("insert into stored_hashes select user_id, group_slug, snapshot_hash from {} where {}").format(
                    hashes, scope.predicate
                ),
                scope.parameters(),
            )
        cursor.execute("analyze current_hashes; analyze stored_hashes;")
        cursor.execute(
            """
            select
                count(c.user_id) as generated,
                count(c.user_id) filter (where s.snapshot_hash is distinct from c.snapshot_hash) as changed,
                count(*) filter (where c.user_id is null) as removed
            from current_hashes as c
            full join stored_hashes as s on s.user_id = c.user_id and s.group_slug = c.group_slug
            """
        )
        generated, changed, removed = cursor.fetchone() or (0, 0, 0)
        if not dry_run:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (_hashes_lock(settings),))
            _store(cursor, hashes, table, scope, run_id)
            cursor.execute(sql.SQL("analyze {}").format(hashes))
            record_run(cursor, settings, scope, run_id)
        outcome = Outcome(generated, changed, removed, _digest(connection))
        if not dry_run:
            complete(cursor, outcome)
        return outcome


def await_hashes(connection: Connection, settings: Settings) -> None:
    """Wait until hashes that are being stored are committed.

    A reader that calls this first misses no change: either it sees the change, or changed_at is later than this call.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (_hashes_lock(settings),))
    connection.autocommit = False


def _hashes_lock(settings: Settings) -> str:
    return ".".join(relations.hashes(settings).strings)


def _store(cursor: Cursor, hashes: sql.Identifier, snapshots: sql.Identifier, scope: Scope, run_id: str) -> None:
    # Only in the scope: after an upgrade, other hashes wait until a run publishes their snapshots again.
    cursor.execute(
        sql.SQL(
            """
            delete from {0} where {2} and not exists (
                select from {1} as p where p.user_id = {0}.user_id and p.group_slug = {0}.group_slug
            )
            """
        ).format(hashes, snapshots, scope.predicate),
        scope.parameters(),
    )
    cursor.execute(
        sql.SQL(
            """
            insert into {} as stored (user_id, group_slug, snapshot_hash, changed_at, run_id)
            select user_id, group_slug, snapshot_hash, (select clock_timestamp()), %s from current_hashes
            on conflict (user_id, group_slug) do update
            set snapshot_hash = excluded.snapshot_hash, changed_at = excluded.changed_at, run_id = excluded.run_id
            where stored.snapshot_hash <> excluded.snapshot_hash
            """
        ).format(hashes),
        (run_id,),
    )


def _digest(connection: Connection) -> str:
    """The SHA-256 of the current hashes, ascending, joined by newlines."""
    digest = hashlib.sha256()
    with connection.cursor(name="hashes") as cursor:
        cursor.execute('select snapshot_hash from current_hashes order by snapshot_hash collate "C"')
        for position, (snapshot_hash,) in enumerate(cursor):
            digest.update(f"\n{snapshot_hash}".encode() if position else snapshot_hash.encode())
    return digest.hexdigest()
