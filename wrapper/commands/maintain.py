"""The commands that look after an installation: doctor, upgrade, db."""

from typing import TYPE_CHECKING

import click

from wrapper.commands.output import Commands, say
from wrapper.errors import ConfigurationError, ExitCode, WrapperError

if TYPE_CHECKING:
    from wrapper.warehouse.embedded import EmbeddedServer


@click.command()
def doctor() -> None:
    """Check that a run would succeed.

    A line begins with ok, with WARN if a run succeeds but may not do what you expect, or with FIX if it would fail.
    Exits with 2 if something must be fixed.
    """
    from wrapper.reading.doctor import examine, print_findings
    from wrapper.reading.terminal import console

    if not print_findings(console(), examine()):
        raise click.exceptions.Exit(ExitCode.USAGE)


@click.command()
@click.option("--yes", is_flag=True, help="Drop it.")
def upgrade(yes: bool) -> None:
    """List what upgrading the published tables would drop.

    Other people's views on these tables are listed too; they are dropped with them. The next `wrapper snapshot --all`
    publishes everything again. Stored hashes stay.
    """
    from wrapper.settings import read_settings
    from wrapper.warehouse import contract
    from wrapper.warehouse.connection import open_warehouse

    with open_warehouse(read_settings(), to_write=yes) as warehouse:
        warehouse.run_lock.acquire(0)
        plan = contract.plan_upgrade(warehouse)
        if plan is None:
            say("nothing to upgrade")
            return
        say(f"to be dropped, of version {plan.version} of the contract: {', '.join(plan.relations)}")
        if plan.views_of_others:
            say(f"other people's views that would be dropped too; save them first: {', '.join(plan.views_of_others)}")
        if yes:
            contract.upgrade(warehouse, plan)
            say("dropped: run wrapper snapshot --all now, then re-create other people's views")
        else:
            say("nothing was dropped: wrapper upgrade --yes does it")


@click.group(cls=Commands)
def db() -> None:
    """Start, stop and connect to the embedded Postgres."""


@click.command()
def start() -> None:
    """Start it, leave it running, and print its URL."""
    server = _embedded_server()
    with server.guard():
        server.start(on_demand=False)
    click.echo(server.url())


@click.command()
def stop() -> None:
    """Stop it."""
    from wrapper.warehouse.connection import runs_on

    server = _embedded_server()
    with server.guard():
        if server.is_running() and runs_on(server):
            raise WrapperError("a run is using the embedded Postgres: wait for its end, then stop it")
        server.stop()


@click.command()
def status() -> None:
    """Print whether it is running."""
    click.echo("running" if _embedded_server().is_running() else "stopped")


@click.command()
def url() -> None:
    """Print its URL, for BI tools and other programs."""
    server = _embedded_server()
    if not server.is_running():
        raise WrapperError("the embedded Postgres is not running: start it with wrapper db start")
    click.echo(server.url())


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on it, started and stopped as for other commands.

    ARGS go to psql, as in `wrapper db psql -c '\\dt'`. The published schema is on the search path.
    """
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import open_published
    from wrapper.warehouse.psql import find_psql, run_psql

    settings = read_settings()
    if settings.warehouse is not None:
        raise ConfigurationError("the warehouse is not the embedded Postgres: run psql with its own URL")
    program = find_psql()
    with open_published(settings) as warehouse:
        code = run_psql(program, arguments, warehouse)
    raise click.exceptions.Exit(code)


db.add("Commands", start, stop, status, url, psql)


def _embedded_server() -> "EmbeddedServer":
    from wrapper.settings import read_settings
    from wrapper.warehouse.connection import embedded_server

    return embedded_server(read_settings())
