"""The users and groups that a scope can name."""

from collections.abc import Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.dbt_project import project_vars
from wrapper.errors import UnknownScopeError
from wrapper.scope import Scope
from wrapper.settings import Settings
from wrapper.warehouse import relations


def memberships_query() -> str:
    """Return a query for the memberships in a table of user attributes; `{}` stands for the table's name.

    It runs on Postgres and on SQLite. The dbt macro is_membership_key() has the same rule.
    """
    prefix = project_vars()["membership_key_prefix"]
    quoted = "'" + prefix.replace("'", "''") + "'"
    return (
        f"select user_id, substr(key, {len(prefix) + 1}) as group_slug from {{}} "  # noqa: S608 - a var of our own
        f"where substr(key, 1, {len(prefix)}) = {quoted} and key <> {quoted}"
    )


def holds_anything(cursor: Cursor, settings: Settings, scope: Scope, published: Sequence[sql.Identifier]) -> bool:
    """Return whether the scope contains a membership or a row of the `published` tables.

    Raises UnknownScopeError for users and slugs that have neither.
    """
    attributes = relations.source(settings, "user_attributes")
    memberships = sql.SQL(f"({memberships_query()}) as memberships").format(attributes)
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
    """Raise UnknownScopeError for users and slugs of the scope that none of the `known` relations contains.

    `user_argument` is the name of the option or argument for a user.
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
