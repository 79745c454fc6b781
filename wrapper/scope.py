"""The scope of a run: which users and groups it covers."""

import dataclasses
from typing import Any

from psycopg2 import sql


@dataclasses.dataclass(frozen=True)
class Scope:
    """Users and groups of a run; None means all. people.resolve() replaces the names, given without @, by ids."""

    user_ids: tuple[int, ...] | None = None
    group_slugs: tuple[str, ...] | None = None
    user_names: tuple[str, ...] = ()

    # A condition on the columns user_id and group_slug; parameters() returns its parameters.
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
        """Return the scope as dbt vars, for the macro scope_filter()."""
        return {name: value for name, value in self.parameters().items() if value is not None}

    def covers(self, user_id: int, group_slug: str) -> bool:
        """Return whether a snapshot with this key is in the scope."""
        return (self.user_ids is None or user_id in self.user_ids) and (
            self.group_slugs is None or group_slug in self.group_slugs
        )


EVERYTHING = Scope()
