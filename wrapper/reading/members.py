"""The members of imported groups, with their names."""

import dataclasses
from collections.abc import Sequence

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from rich.console import Console

from wrapper.errors import UnknownScopeError
from wrapper.nightly.people import read_memberships, read_names
from wrapper.reading.terminal import safe, table
from wrapper.settings import Settings


@dataclasses.dataclass(frozen=True)
class Member:
    """A user with at least one membership; the name is None if WhiteBalloon no longer has the user."""

    user_id: int
    name: str | None
    group_slugs: list[str]


def read_members(settings: Settings, connection: Connection | None, group_slugs: Sequence[str]) -> list[Member]:
    """Return the members of these groups, or of all groups if none is given, ordered by id, each with all groups.

    `connection` is as for read_names(). Raises UnknownScopeError that names each group without members, and
    ConfigurationError where WhiteBalloon cannot be read.
    """
    names = read_names(settings, connection)
    groups: dict[int, dict[str, None]] = {}
    for user_id, slug in read_memberships(settings, connection):
        groups.setdefault(user_id, {})[slug] = None
    known = {slug for slugs in groups.values() for slug in slugs}
    if unknown := [repr(slug) for slug in group_slugs if slug not in known]:
        raise UnknownScopeError(f"--group-slug {', '.join(unknown)} has no members")
    return [
        Member(user_id, names.get(user_id), list(slugs))
        for user_id, slugs in sorted(groups.items())
        if not group_slugs or not slugs.keys().isdisjoint(group_slugs)
    ]


def print_members(console: Console, members: Sequence[Member]) -> None:
    """Print a line for each member."""
    rows = [
        (
            str(member.user_id),
            safe("" if member.name is None else f"@{member.name}"),
            safe(", ".join(member.group_slugs)),
        )
        for member in members
    ]
    console.print(table(("user", "name", "groups"), rows, right=("user",), wrap=("name", "groups")))
