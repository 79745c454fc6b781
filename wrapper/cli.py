"""The command line. Whatever is slow to import is imported by the command that needs it."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from wrapper import interrupts
from wrapper.errors import ExitCode, WrapperError


def _user(value: str) -> int | str:
    if value.startswith("@"):
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither an id nor @ and a name") from None


_USERS = click.option(
    "--user",
    "users",
    type=_user,
    multiple=True,
    metavar="ID|@NAME",
    help="Only this user, by id or by the name in WhiteBalloon; may repeat.",
)
_NAMES = click.option("--names", is_flag=True, help="Print user names too, read from WhiteBalloon and not stored.")
_SLUGS = click.option("--group-slug", "slugs", multiple=True, metavar="SLUG", help="Only this group; may repeat.")


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from datetime import UTC, datetime

    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a timestamp like 2026-01-31T04:00 or 2026-01-31T04:00:00+01:00"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signal-profile-snapshots")
@click.pass_context
def cli(context: click.Context) -> None:
    """Build a snapshot of what each member did in each imported Signal group.

    Settings come from the environment and from .env in the working directory; README.md lists them.
    Exit codes: 0 done, 1 a build or a data test failed, 2 usage or configuration, 3 no run has
    published for 36 hours (status), 75 another run holds the lock, 130 interrupted.
    """
    # A run lets them in itself, once it can be logged as interrupted.
    if context.invoked_subcommand != "snapshot":
        interrupts.release()


@cli.command()
@click.option("--all", "everybody", is_flag=True, help="Every membership; the default with --group-slug.")
@_USERS
@_SLUGS
@click.option("--dry-run", is_flag=True, help="Compute and test everything, publish nothing, report what would change.")
@click.option("--rebuild", is_flag=True, help="Build even if nothing has changed since the last run.")
@click.option(
    "--accept-losses",
    is_flag=True,
    help="Publish even if most snapshots, or all of their tags, links, reactions or attachments, would disappear.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write each snapshot to a file in DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run-log entry to stdout.")
@click.option(
    "--wait",
    type=click.IntRange(min=0),
    default=0,
    metavar="SECONDS",
    help="How long to wait for another run to end; 0 unless given.",
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
    wait: int,
) -> None:
    """Load, build, test and publish snapshots, then hash and log them."""
    if everybody and users:
        raise click.UsageError("--all and --user exclude each other: give one of them")
    if not (everybody or users or slugs):
        raise click.UsageError("give --all, --user ID|@NAME or --group-slug SLUG")
    from wrapper.nightly.run import Listener, Request, run_snapshot

    if output_dir is not None and not str(output_dir).strip("."):
        raise click.UsageError("--output-dir must name a directory of its own")
    request = Request(_scope(users, slugs), dry_run, rebuild, accept_losses, output_dir, wait)
    entries: list[Any] = []
    try:
        with _ProgressLine() as progress:
            run_snapshot(request, Listener(_say, progress.show, entries.append))
    finally:
        # Nobody reading it is no reason to forget how the run ended.
        with contextlib.suppress(BrokenPipeError):
            for entry in entries if as_json else ():
                click.echo(entry.to_json())
    if entries[0].status == "success":
        _say(_summary(entries[0]))


@cli.command()
def load() -> None:
    """Copy WhiteBalloon's SQLite tables into the warehouse; `snapshot` does it by itself."""
    from wrapper.nightly.load import load as copy_tables
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    with open_warehouse(read_settings()) as warehouse:
        warehouse.run_lock.acquire(0)
        copy_tables(warehouse, _say)
    _say("loaded")


@cli.command()
@click.option("--yes", is_flag=True, help="Do it.")
def upgrade(yes: bool) -> None:
    """Name what a new version of the contract replaces; with --yes, drop it.

    Views of others that stand on it are named too, and go with it. The next `snapshot --all` publishes
    everything anew. Stored hashes stay.
    """
    from wrapper.settings import read_settings
    from wrapper.warehouse import contract
    from wrapper.warehouse.connection import open_warehouse

    with open_warehouse(read_settings(), to_write=yes) as warehouse:
        warehouse.run_lock.acquire(0)
        plan = contract.plan_upgrade(warehouse)
        if plan is None:
            _say("nothing to upgrade")
            return
        _say(f"to be dropped, of version {plan.version} of the contract: {', '.join(plan.relations)}")
        if plan.views_of_others:
            _say(f"views of others that go with them, to be saved first: {', '.join(plan.views_of_others)}")
        if yes:
            contract.upgrade(warehouse, plan)
            _say("dropped: run wrapper snapshot --all now, then make the views of others anew")
        else:
            _say("nothing was done: wrapper upgrade --yes does it")


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ARGS...")
def dbt(arguments: tuple[str, ...]) -> None:
    """Run any dbt command against the warehouse; it neither loads nor stores hashes.

    A command that may write runs under the same lock as `snapshot`.
    """
    from wrapper.nightly import dbt_client
    from wrapper.nightly.in_place import source_vars
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    settings = read_settings()
    writes = dbt_client.writes(arguments)
    with open_warehouse(settings, to_write=writes) as warehouse:
        if writes:
            warehouse.run_lock.acquire(0)
        code = dbt_client.run_command(settings, source_vars(warehouse), arguments)
    raise click.exceptions.Exit(code)


@cli.command()
@_USERS
@_SLUGS
@click.option(
    "--changed-since",
    callback=_moment,
    metavar="TIMESTAMP",
    help="Only those whose hash moved since, such as 2026-01-31T04:00; UTC unless it has an offset.",
)
@click.option("--stale", is_flag=True, help="Only those whose bio is to be written anew.")
def export(users: tuple[int | str, ...], slugs: tuple[str, ...], changed_since: Any, stale: bool) -> None:
    """Print the published snapshots with their hashes and analyses, as JSON lines."""
    from wrapper.nightly import people
    from wrapper.reading.export import Selection, export_lines
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    scope = _scope(users, slugs)
    with open_published(read_settings()) as warehouse:
        if stale:
            _refresh_highlights(warehouse, must=True)
        scope = people.resolve(warehouse.settings, warehouse.connection, scope)
        for line in export_lines(warehouse, Selection(scope, changed_since, stale)):
            click.echo(line)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: counts, and to_rewrite.")
def freshness(as_json: bool) -> None:
    """Count the bios by what keeps them fresh or not, and list those to write anew."""
    from wrapper.reading.freshness import read_freshness
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    with open_published(read_settings()) as warehouse:
        _refresh_highlights(warehouse, must=True)
        found = read_freshness(warehouse)
    if as_json:
        click.echo(json.dumps({"counts": found.counts, "to_rewrite": found.to_rewrite}))
        return
    for reason, count in found.counts.items():
        click.echo(f"{count:8}  {reason}")
    if found.to_rewrite:
        click.echo("to rewrite:")
    for row in found.to_rewrite:
        click.echo(f"{row['user_id']:8}  {row['reason']:17}  {row['group_slug']}")


@cli.command()
@_SLUGS
def members(slugs: tuple[str, ...]) -> None:
    """List the members of all imported groups, with their ids, names and groups.

    They are read from WhiteBalloon, so new members are listed before any run has seen them.
    """
    from wrapper.reading.members import read_members
    from wrapper.reading.terminal import console, safe, table
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_warehouse

    settings = read_settings()
    with contextlib.ExitStack() as stack:
        connection = None
        if settings.sqlite_path is None:
            connection = stack.enter_context(open_warehouse(settings, to_write=False)).connection
        found = read_members(settings, connection, _scope((), slugs).group_slugs or ())
    rows = [
        (
            str(member.user_id),
            safe(f"@{member.name}" if member.name is not None else ""),
            safe(", ".join(member.group_slugs)),
        )
        for member in found
    ]
    console().print(table(("user", "name", "groups"), rows, right=("user",)))


@cli.command()
@click.argument("user", type=_user, metavar="USER")
@_SLUGS
@_NAMES
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
def show(user: int | str, slugs: tuple[str, ...], names: bool, as_json: bool) -> None:
    """Show the published snapshots of a member, one card a group.

    USER is the member's id, or @ and the member's name in WhiteBalloon.
    """
    from wrapper.nightly import people
    from wrapper.reading import show as shown
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    scope = _scope((user,), slugs, "USER")
    with open_published(read_settings()) as warehouse:
        scope = people.resolve(warehouse.settings, warehouse.connection, scope, "USER")
        known = people.read_names(warehouse.settings, warehouse.connection) if names else {}
        _refresh_highlights(warehouse, must=False)
        cards = shown.read_cards(warehouse, scope, known)
    if as_json:
        click.echo(json.dumps([card.to_dict() for card in cards]))
        return
    from wrapper.reading.terminal import console

    shown.print_cards(console(), cards)


@cli.command()
@_SLUGS
@_NAMES
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The page to write.",
)
def report(slugs: tuple[str, ...], names: bool, output: Path) -> None:
    """Write one self-contained HTML page about what is published.

    It loads and runs nothing.
    """
    from wrapper.nightly import people
    from wrapper.reading.report import write_report
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published

    with open_published(read_settings()) as warehouse:
        known = people.read_names(warehouse.settings, warehouse.connection) if names else {}
        _refresh_highlights(warehouse, must=False)
        write_report(warehouse, _scope((), slugs), output, known)
    _say(f"wrote {output}")


@cli.command()
@_SLUGS
@click.option("--last", type=click.IntRange(0, 10_000), default=10, metavar="N", help="How many runs; 10 unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def status(slugs: tuple[str, ...], last: int, as_json: bool) -> None:
    """Show the last runs; exit with 3 if none of all members has published for 36 hours.

    With --group-slug, exit with 3 if one of these groups has not been published for 36 hours.
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

        print_status(console(), found, storage_dir / NAME)
    if found.overdue:
        raise click.exceptions.Exit(ExitCode.OVERDUE)


@cli.command()
def doctor() -> None:
    """Check that a run would succeed; exit with 2 if something must be fixed.

    A line begins with ok, with WARN where a run succeeds but may not do what you expect, or with FIX.
    """
    from wrapper.reading.doctor import examine

    is_well = True
    for finding in examine():
        click.echo(f"{finding.verdict:4} {finding.name}: {' '.join(finding.text.split())}")
        is_well &= finding.verdict != "FIX"
    if not is_well:
        raise click.exceptions.Exit(ExitCode.USAGE)


@cli.group()
def db() -> None:
    """The embedded Postgres, so that psql and BI tools can reach it."""


@db.command()
def start() -> None:
    """Start it, and leave it running."""
    server = _embedded_server()
    with server.guard():
        server.start(on_demand=False)
    click.echo(server.url())


@db.command()
def stop() -> None:
    """Stop it."""
    from wrapper.warehouse.connection import runs_on

    server = _embedded_server()
    with server.guard():
        if server.is_running() and runs_on(server):
            raise WrapperError("a run is using the embedded Postgres: wait for its end, then stop it")
        server.stop()


@db.command("status")
def db_status() -> None:
    """Say whether it runs."""
    click.echo("running" if _embedded_server().is_running() else "stopped")


@db.command()
def url() -> None:
    """Print its URL."""
    server = _embedded_server()
    if not server.is_running():
        raise WrapperError("the embedded Postgres does not run: start it with wrapper db start")
    click.echo(server.url())


def main() -> None:
    """Run the command line and exit with one of the documented codes; an expected failure is one line on stderr."""
    # Whatever the caller's umask: what is written holds people's messages, or what they led to.
    os.umask(0o077)
    # What libpq would read belongs to other programs; the settings are README.md's.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # cron's locale may be C, which has no letters for what members wrote.
        sys.stdout.reconfigure(errors="backslashreplace")
    interrupts.install()
    try:
        # Not cli.main(), which would print to stderr on its own.
        with cli.make_context("wrapper", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
        code = ExitCode.DONE
    except click.exceptions.Exit as exit_:
        code = ExitCode(exit_.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = ExitCode.USAGE
    except click.ClickException as error:
        code = _fail(error.format_message(), ExitCode.USAGE)
    except WrapperError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        code = _fail(str(error) or "interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader has had enough, as `head` has.
        code = ExitCode.DONE
    except OSError as error:
        code = _fail(f"{error.filename or 'standard output'}: {error.strerror}", ExitCode.USAGE)
    interrupts.ignore()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python would say so once more at exit, with an exit code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _fail(message: str, code: ExitCode) -> ExitCode:
    _say(f"wrapper: {' '.join(message.split())}")
    return code


def _say(line: str, newline: bool = True) -> None:
    # Whoever listens may be gone, which is no reason for a run to end.
    with contextlib.suppress(OSError):
        click.echo(line, nl=newline, err=True)


def _scope(users: tuple[int | str, ...], slugs: tuple[str, ...], named: str = "--user") -> Any:
    from wrapper.scope import Scope

    ids = tuple(user for user in users if isinstance(user, int))
    for user in ids:
        if not -(2**63) <= user < 2**63:
            raise click.UsageError(f"{named} {user} is no id: ids are whole numbers of 64 bits")
    for slug in slugs:
        if any("\ud800" <= character <= "\udfff" for character in slug):
            raise click.UsageError("--group-slug is no valid UTF-8")
    names = tuple(user.removeprefix("@") for user in users if isinstance(user, str))
    return Scope(ids if users else None, slugs or None, names)


def _refresh_highlights(warehouse: Any, must: bool) -> None:
    """Publish WhiteBalloon's highlights as they are now; users who may only read get those of the last run."""
    from wrapper.errors import NoRightError
    from wrapper.nightly import highlights

    try:
        highlights.refresh(warehouse)
    except WrapperError as error:
        if must and not isinstance(error, NoRightError):
            raise
        _say(f"warning: bios are shown as the last run found them: {error}")


def _embedded_server() -> Any:
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import embedded_server

    return embedded_server(read_settings())


def _summary(entry: Any) -> str:
    verb = "would publish" if entry.dry_run else "published"
    return (
        f"{verb} {entry.generated} snapshots of {entry.target_users} members "
        f"({entry.attempted} memberships, {entry.skipped} without comments) in {entry.duration_seconds:.1f} s\n"
        f"  {entry.changed} changed, {entry.unchanged} unchanged, {entry.removed} removed\n"
        f"  digest {entry.snapshots_digest}"
    )


class _ProgressLine:
    """The line that counts dbt's nodes, on a terminal only; gone when the work is."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> "_ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            _say("\r\x1b[K", newline=False)

    def show(self, progress: Any) -> None:
        if self._shown:
            _say(f"\r\x1b[K{progress.done} of {progress.total} steps done", newline=False)
