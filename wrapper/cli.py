"""The command line: `wrapper` and its commands, and what each failure exits with."""

import io
import os
import sys

import click

from wrapper import interrupts
from wrapper.commands import look, maintain, run
from wrapper.commands.output import Commands, complain, say
from wrapper.errors import ExitCode


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signal-profile-snapshots")
@click.pass_context
def cli(context: click.Context) -> None:
    """Summarize what each member of each imported Signal group has posted.

    Settings come from the environment and from .env in the working directory; docs/settings.md lists them.

    \b
    Exit codes:
      0    done
      1    a build or a data test failed
      2    usage or configuration
      3    no run has published for 36 hours (status only)
      75   another run holds the lock
      130  interrupted
    """
    # A run lets them in itself, once it can be logged as interrupted.
    if context.invoked_subcommand != "snapshot":
        interrupts.release()


cli.add("Run", run.snapshot, run.load, run.dbt)
cli.add("Look", look.status, look.show, look.members, look.report, look.freshness, look.export)
cli.add("Maintain", maintain.doctor, maintain.upgrade, maintain.db)


def main() -> None:
    """Run the command line and exit with one of the documented codes; an expected failure is one line on stderr."""
    # Whatever the caller's umask: what is written holds people's messages, or what they led to.
    os.umask(0o077)
    # What libpq would read belongs to other programs; the settings are in docs/settings.md.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # cron's locale may be C, which has no letters for what members wrote.
        sys.stdout.reconfigure(errors="backslashreplace")
    interrupts.install()
    code: int = ExitCode.DONE
    try:
        # Not cli.main(), which would print to stderr on its own.
        with cli.make_context("wrapper", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.ClickException as error:
        complain(error)
        code = error.exit_code
    except KeyboardInterrupt as error:
        say(f"wrapper: {' '.join(str(error).split()) or 'interrupted'}")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Treat a closed output pipe as success, as with `head`.
        pass
    except OSError as error:
        say(f"wrapper: {error.filename or 'standard output'}: {error.strerror}")
        code = ExitCode.USAGE
    interrupts.ignore()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python would say so once more at exit, with an exit code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
