"""The scope of a run: which users and groups it covers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.dbt_project import project_vars
from wrapper.errors import UnknownScopeError
from wrapper.settings import Settings


@dataclasses.dataclass(frozen=True)
class Scope:
    """Users and groups of a run; None stands for all. people.resolve() turns the names, without @, into ids."""

    user_ids: tuple[int, ...] | None = None
    group_slugs: tuple[str, ...] | None = None
    user_names: tuple[str, ...] = ()

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


EVERYTHING = Scope()


def holds_anything(cursor: Cursor, settings: Settings, scope: Scope, published: Sequence[sql.Identifier]) -> bool:
    """Tell whether the scope holds a membership, or a row in one of the `published` tables.

    Raises UnknownScopeError that names each user and slug that has neither.
    """
    prefix = project_vars()["membership_key_prefix"]
    memberships = sql.SQL(
        """
        (
            select user_id, substr(key, length({prefix}) + 1) as group_slug
            from {attributes}
            where starts_with(key, {prefix}) and key <> {prefix}
        ) as memberships
        """
    ).format(prefix=sql.Literal(prefix), attributes=sql.Identifier(settings.read_schema, "user_attributes"))
    known = [memberships, *published]
    refuse_unknown(cursor, scope, known)
    cursor.execute(
        sql.SQL("select exists (select from ({}) as known where {})").format(_keys(known), scope.predicate),
        scope.parameters(),
    )
    row = cursor.fetchone()
    return bool(row and row[0])


def refuse_unknown(
    cursor: Cursor, scope: Scope, known: Sequence[sql.Composable], user_argument: str = "--user"
) -> None:
    """Raise UnknownScopeError that names each user and slug of the scope that is in none of the `known` relations.

    `user_argument` is what the command line calls a user.
    """
    unknown = []
    for column, argument, wanted in (
        ("user_id", user_argument, scope.user_ids),
        ("group_slug", "--group-slug", scope.group_slugs),
    ):
        if wanted is None:
            continue
        cursor.execute(
            sql.SQL("select distinct {0} from ({1}) as known where {0} = any(%s)").format(
                sql.Identifier(column), _keys(known)
            ),
            (list(wanted),),
        )
        found = {row[0] for row in cursor}
        unknown += [f"{argument} {value!r}" for value in dict.fromkeys(wanted) if value not in found]
    if unknown:
        verb = "has" if len(unknown) == 1 else "have"
        raise UnknownScopeError(f"{', '.join(unknown)} {verb} neither a membership nor a published snapshot")


def _keys(relations: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" union all ").join(sql.SQL("select user_id, group_slug from {}").format(it) for it in relations)
