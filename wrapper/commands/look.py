"""The commands that read what is published: status, show, members, report, freshness, export."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapper.commands.options import NAMES, SLUGS, USERS, moment, scope, user
from wrapper.commands.output import say
from wrapper.errors import ExitCode, NoRightError, WrapperError

if TYPE_CHECKING:
    from wrapper.warehouse.connection import Warehouse


@click.command()
@SLUGS
@click.option("--last", type=click.IntRange(0, 10_000), default=10, metavar="N", help="How many runs (default: 10).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def status(slugs: tuple[str, ...], last: int, as_json: bool) -> None:
    """Show the last runs, and whether one is overdue.

    Exits with 3 if no run of all members has published for 36 hours or, with --group-slug, if one of these groups has
    not been published for 36 hours.
    """
    from datetime import UTC, datetime

    from wrapper.nightly.run_log import NAME
    from wrapper.reading.status import print_status, read_status
    from wrapper.settings import read_storage_dir

    storage_dir = read_storage_dir()
    found = read_status(storage_dir, last, datetime.now(UTC), slugs)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        from wrapper.reading.terminal import console

        print_status(console(), found, storage_dir.absolute() / NAME)
    if found.overdue:
        raise click.exceptions.Exit(ExitCode.OVERDUE)


@click.command()
@click.argument("member", type=user, metavar="USER")
@SLUGS
@NAMES
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
def show(member: int | str, slugs: tuple[str, ...], names: bool, as_json: bool) -> None:
    """Show a member's published snapshots, one card per group.

    USER is the member's id, or @ and the member's name in WhiteBalloon.
    """
    from wrapper.nightly import people
    from wrapper.reading import show as shown
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    asked = scope((member,), slugs, "USER")
    with open_published(read_settings()) as warehouse:
        asked = people.resolve(warehouse.settings, warehouse.connection, asked, "USER")
        known = people.read_names(warehouse.settings, warehouse.connection) if names else {}
        _refresh_highlights(warehouse, must=False)
        cards = shown.read_cards(warehouse, asked, known)
    if as_json:
        click.echo(json.dumps([card.to_dict() for card in cards]))
        return
    from wrapper.reading.terminal import console

    shown.print_cards(console(), cards)


@click.command()
@SLUGS
def members(slugs: tuple[str, ...]) -> None:
    """List the members of the imported groups.

    Ids, names and groups are read from WhiteBalloon, so new members are listed before the first run that sees them.
    """
    from wrapper.reading.members import print_members, read_members
    from wrapper.reading.terminal import console
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    settings = read_settings()
    with contextlib.ExitStack() as stack:
        connection = None
        if settings.sqlite_path is None:
            connection = stack.enter_context(open_warehouse(settings, to_write=False)).connection
        found = read_members(settings, connection, scope((), slugs).group_slugs or ())
    print_members(console(), found)


@click.command()
@SLUGS
@NAMES
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The page to write (default: report.html in STORAGE_DIR).",
)
def report(slugs: tuple[str, ...], names: bool, output: Path | None) -> None:
    """Write an HTML page about what is published.

    The page is one file without scripts, and it makes no request. No message is loaded and no snapshot is built.
    """
    from wrapper.nightly import people
    from wrapper.reading.report import write_report
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    settings = read_settings()
    output = output or settings.storage_dir / "report.html"
    with open_published(settings) as warehouse:
        known = people.read_names(settings, warehouse.connection) if names else {}
        _refresh_highlights(warehouse, must=False)
        write_report(warehouse, scope((), slugs), output, known)
    say(f"wrote {output}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: counts, and to_rewrite.")
def freshness(as_json: bool) -> None:
    """List the bios that must be rewritten, and why.

    WhiteBalloon's highlights are read and published first.
    """
    from wrapper.reading.freshness import print_freshness, read_freshness
    from wrapper.reading.terminal import console
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    with open_published(read_settings()) as warehouse:
        _refresh_highlights(warehouse, must=True)
        found = read_freshness(warehouse)
    if as_json:
        click.echo(json.dumps({"counts": found.counts, "to_rewrite": found.to_rewrite}))
    else:
        print_freshness(console(), found)


@click.command()
@USERS
@SLUGS
@click.option(
    "--changed-since",
    callback=moment,
    metavar="TIMESTAMP",
    help="Only those whose hash has changed since then, as in 2026-01-31T04:00; UTC unless it has an offset.",
)
@click.option("--stale", is_flag=True, help="Only those whose bio must be rewritten.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: the snapshot's columns and its hash, no analyses.")
def export(users: tuple[int | str, ...], slugs: tuple[str, ...], changed_since: Any, stale: bool, as_csv: bool) -> None:
    """Print the published snapshots as JSON lines or CSV.

    A JSON line has the snapshot, its hash and the analyses from which a bio is written. In CSV, columns that hold JSON
    hold it as text, in the form that is hashed.
    """
    from wrapper.nightly import people
    from wrapper.reading.export import Selection, csv_lines, json_lines, read_export
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    selected = scope(users, slugs)
    with open_published(read_settings()) as warehouse:
        if stale:
            _refresh_highlights(warehouse, must=True)
        selected = people.resolve(warehouse.settings, warehouse.connection, selected)
        rows = read_export(warehouse, Selection(selected, changed_since, stale))
        for line in (csv_lines if as_csv else json_lines)(rows):
            # Colour, since Click would otherwise remove escape sequences from what members wrote.
            click.echo(line, nl=False, color=True)


def _refresh_highlights(warehouse: "Warehouse", must: bool) -> None:
    """Publish WhiteBalloon's highlights as they are now; users who may only read get those of the last run."""
    from wrapper.nightly import highlights

    try:
        highlights.refresh(warehouse)
    except WrapperError as error:
        if must and not isinstance(error, NoRightError):
            raise
        say(f"warning: bios are shown as the last run found them: {error}")
