"""The scope of a run: which users and groups it covers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.errors import UnknownScopeError
from wrapper.project import project_vars
from wrapper.settings import Settings


@dataclasses.dataclass(frozen=True)
class Scope:
    """Users and groups of a run; None stands for all."""

    user_ids: tuple[int, ...] | None = None
    group_slugs: tuple[str, ...] | None = None

    # For relations with the columns user_id and group_slug, with parameters() as the query's parameters.
    predicate = sql.SQL(
        "(%(user_ids)s::bigint[] is null or user_id = any(%(user_ids)s))"
        " and (%(group_slugs)s::text[] is null or group_slug = any(%(group_slugs)s))"
    )

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of `predicate`."""
        return {
            "user_ids": None if self.user_ids is None else list(self.user_ids),
            "group_slugs": None if self.group_slugs is None else list(self.group_slugs),
        }

    def dbt_vars(self) -> dict[str, Any]:
        """Return the scope as the dbt vars that scope_filter() reads."""
        return {name: value for name, value in self.parameters().items() if value is not None}

    def covers(self, user_id: int, group_slug: str) -> bool:
        """Tell whether a snapshot with this key is in the scope."""
        return (self.user_ids is None or user_id in self.user_ids) and (
            self.group_slugs is None or group_slug in self.group_slugs
        )


def holds_anything(cursor: Cursor, settings: Settings, scope: Scope, published: Sequence[sql.Identifier]) -> bool:
    """Tell whether the scope holds a membership, or a row in one of the `published` tables.

    Raises UnknownScopeError at a user or a slug that has neither.
    """
    known = sql.SQL(
        """
        select user_id, substr(key, length(%(prefix)s) + 1) as group_slug
        from {}
        where starts_with(key, %(prefix)s) and key <> %(prefix)s
        """
    ).format(sql.Identifier(settings.read_schema, "user_attributes"))
    for table in published:
        known = sql.SQL("{} union all select user_id, group_slug from {}").format(known, table)
    parameters = {**scope.parameters(), "prefix": project_vars()["membership_key_prefix"]}
    for column, option, wanted in (
        ("user_id", "--user", scope.user_ids),
        ("group_slug", "--group-slug", scope.group_slugs),
    ):
        cursor.execute(
            sql.SQL("select distinct {0} from ({1}) as known where {0} = any(%(wanted)s)").format(
                sql.Identifier(column), known
            ),
            {**parameters, "wanted": list(wanted or ())},
        )
        found = {row[0] for row in cursor}
        for value in wanted or ():
            if value not in found:
                raise UnknownScopeError(f"{option} {value!r} has neither a membership nor a published snapshot")
    cursor.execute(
        sql.SQL("select exists (select from ({}) as known where {})").format(known, scope.predicate), parameters
    )
    row = cursor.fetchone()
    return bool(row and row[0])
