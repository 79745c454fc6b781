"""Options that several commands share, and the scope that they name."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wrapper.scope import Scope


def user(value: str) -> int | str:
    """Return a user's id as a number, and @ and a name as text."""
    if value.startswith("@"):
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither an id nor @ and a name") from None


def moment(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Return a timestamp as a datetime, in UTC unless it has an offset."""
    from datetime import UTC, datetime

    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a timestamp like 2026-01-31T04:00 or 2026-01-31T04:00:00+01:00"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


USERS = click.option(
    "--user",
    "users",
    type=user,
    multiple=True,
    metavar="ID|@NAME",
    help="Only this user, by id or by name in WhiteBalloon; may repeat.",
)
SLUGS = click.option("--group-slug", "slugs", multiple=True, metavar="SLUG", help="Only this group; may repeat.")
NAMES = click.option("--names", is_flag=True, help="Print user names too, read from WhiteBalloon and not stored.")


def scope(users: tuple[int | str, ...], slugs: tuple[str, ...], user_argument: str = "--user") -> "Scope":
    """Return the scope that these options name; `user_argument` is what the command calls a user.

    Raises UsageError at a value that no id or slug can have.
    """
    from wrapper.scope import Scope

    ids = tuple(value for value in users if isinstance(value, int))
    for value in ids:
        if not -(2**63) <= value < 2**63:
            raise click.UsageError(f"{user_argument} {value} is not an id: ids are integers of 64 bits")
    for slug in slugs:
        if any("\ud800" <= character <= "\udfff" for character in slug):
            raise click.UsageError("--group-slug is not valid UTF-8")
    names = tuple(value.removeprefix("@") for value in users if isinstance(value, str))
    return Scope(ids if users else None, slugs or None, names)
