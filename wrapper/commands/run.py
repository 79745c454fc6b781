"""The commands that build: snapshot, load, dbt."""

import contextlib
from pathlib import Path
from typing import Any

import click

from wrapper.commands.options import SLUGS, USERS, scope
from wrapper.commands.output import Progress, say
from wrapper.wording import counted


@click.command()
@click.option("--all", "everybody", is_flag=True, help="All memberships; the default with --group-slug.")
@USERS
@SLUGS
@click.option("--dry-run", is_flag=True, help="Build and test everything, publish nothing, print what would change.")
@click.option("--rebuild", is_flag=True, help="Load and build everything, even if nothing has changed.")
@click.option(
    "--accept-losses",
    is_flag=True,
    help="Publish even if most snapshots, or all tags, links, reactions or attachments, would disappear.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write each snapshot to a file in DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run-log entry to stdout.")
@click.option(
    "--quiet",
    is_flag=True,
    help="Print only warnings and errors, so that cron sends no mail after a good night.",
)
@click.option(
    "--wait",
    type=click.IntRange(min=0),
    default=0,
    metavar="SECONDS",
    help="How long to wait for another run to end (default: 0).",
)
def snapshot(
    everybody: bool,
    users: tuple[int | str, ...],
    slugs: tuple[str, ...],
    dry_run: bool,
    rebuild: bool,
    accept_losses: bool,
    output_dir: Path | None,
    as_json: bool,
    quiet: bool,
    wait: int,
) -> None:
    """Load, build, test and publish snapshots.

    Then their hashes are stored and the run is logged. Give --all, --user or --group-slug; a run replaces exactly the
    snapshots in that scope.
    """
    if everybody and users:
        raise click.UsageError("--all and --user exclude each other: give one of them")
    if not (everybody or users or slugs):
        raise click.UsageError("give --all, --user ID|@NAME or --group-slug SLUG")
    from wrapper.nightly.run import Listener, Request, run_snapshot

    if output_dir is not None and not str(output_dir).strip("."):
        raise click.UsageError("--output-dir must name a directory of its own")
    request = Request(scope(users, slugs), dry_run, rebuild, accept_losses, output_dir, wait)
    entries: list[Any] = []
    try:
        with Progress(quiet) as progress:
            run_snapshot(
                request,
                Listener(
                    warning=progress.say,
                    remark=(lambda line: None) if quiet else progress.say,
                    progress=progress.show,
                    entry=entries.append,
                ),
            )
    finally:
        # Print the outcome even if stdout is closed.
        with contextlib.suppress(BrokenPipeError):
            for entry in entries if as_json else ():
                click.echo(entry.to_json())
    if entries[0].status == "success" and not quiet:
        say(_summary(entries[0]))


@click.command()
def load() -> None:
    """Copy WhiteBalloon's SQLite tables into the warehouse.

    `wrapper snapshot` does this by itself. Tables that are on Postgres are read in place and not copied.
    """
    from wrapper.nightly.load import load as copy_tables
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    with Progress() as progress:
        progress.show("opening the warehouse")
        with open_warehouse(read_settings()) as warehouse:
            warehouse.run_lock.acquire(0)
            copies = copy_tables(warehouse, progress.say, progress.show, reload=True)
    say("loaded, rows per table:")
    for name, copy in copies.items():
        say(f"{copy.rows:12,}  {name}")


# Its own options end at the first argument, so that `wrapper dbt build --help` is dbt's.
@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def dbt(arguments: tuple[str, ...]) -> None:
    """Run any dbt command against the warehouse.

    It neither loads WhiteBalloon's tables nor stores hashes. A command that may write runs under the same lock as
    `wrapper snapshot`. `wrapper dbt` lists dbt's commands, and `wrapper dbt build --help` describes one of them.
    """
    from wrapper.nightly import dbt_command
    from wrapper.nightly.in_place import source_vars
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    settings = read_settings()
    if not arguments or {"-h", "--help", "--version"} & set(arguments):
        raise click.exceptions.Exit(dbt_command.run_command(settings, {}, arguments))
    writes = dbt_command.writes(arguments)
    with open_warehouse(settings, to_write=writes) as warehouse:
        if writes:
            warehouse.run_lock.acquire(0)
        code = dbt_command.run_command(settings, source_vars(warehouse), arguments)
    raise click.exceptions.Exit(code)


def _summary(entry: Any) -> str:
    verb = "would publish" if entry.dry_run else "published"
    return (
        f"{verb} {counted(entry.generated, 'snapshot')} of {counted(entry.target_users, 'member')} "
        f"({counted(entry.attempted, 'membership')}, {entry.skipped} without comments) "
        f"in {entry.duration_seconds:.1f} s\n"
        f"  {entry.changed} changed, {entry.unchanged} unchanged, {entry.removed} removed\n"
        f"  digest {entry.snapshots_digest}"
    )
