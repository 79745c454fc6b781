"""The table of runs: when each scope was last brought up to date."""

import dataclasses
from datetime import datetime, timedelta

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.extras import Json

from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations


@dataclasses.dataclass(frozen=True)
class LastRun:
    """When a run ended, with time zone, and how long ago that was, both by the warehouse's clock."""

    finished_at: datetime
    age: timedelta


def record_run(cursor: Cursor, settings: Settings, scope: Scope, run_id: str) -> None:
    """Record that a run has just brought the scope up to date, replacing the record for the same scope."""
    parameters: dict[str, object] = {
        name: None if values is None else Json(sorted(set(values))) for name, values in scope.parameters().items()
    }
    runs = relations.runs(settings)
    cursor.execute(
        sql.SQL(
            """
            delete from {}
            where user_ids is not distinct from %(user_ids)s::jsonb
                and group_slugs is not distinct from %(group_slugs)s::jsonb
            """
        ).format(runs),
        parameters,
    )
    cursor.execute(
        sql.SQL(
            """
            insert into {} (run_id, finished_at, user_ids, group_slugs)
            values (%(run_id)s, clock_timestamp(), %(user_ids)s, %(group_slugs)s)
            """
        ).format(runs),
        {**parameters, "run_id": run_id},
    )


def read_last_run(connection: Connection, settings: Settings, scope: Scope) -> LastRun | None:
    """Return the last run that covered all members of the scope's groups; for several groups, the oldest of theirs.

    Returns None if one of the groups has no recorded run.
    """
    runs = relations.runs(settings)
    with connection.cursor() as cursor:
        # The last run may have been made by a release without this table.
        if not relations.exists(cursor, runs):
            return None
        cursor.execute(
            sql.SQL(
                """
                select min(latest), now() - min(latest)
                from unnest(coalesce(%(group_slugs)s::text[], array[null])) as wanted (group_slug)
                cross join lateral (
                    select max(finished_at) as latest
                    from {}
                    where user_ids is null and (group_slugs is null or group_slugs ? wanted.group_slug)
                ) as runs
                having count(*) = count(latest)
                """
            ).format(runs),
            scope.parameters(),
        )
        row = cursor.fetchone()
        return None if row is None else LastRun(*row)
