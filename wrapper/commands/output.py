"""What all commands write to stderr, where people read, and how they list themselves in help."""

import contextlib
import os
import sys
from typing import Any

import click

_CLEAR = "\r\x1b[K"


def say(line: str, newline: bool = True) -> None:
    """Write a line to stderr, even if nobody reads it any more."""
    with contextlib.suppress(OSError):
        click.echo(line, nl=newline, err=True)


def complain(error: click.ClickException) -> None:
    """Write an expected failure as one line, and after a usage error another one that names the help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return
    say(f"wrapper: {' '.join(error.format_message().split())}")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(f"Try '{error.ctx.command_path} --help' for help.")


class Progress:
    """A line on stderr that says what is being done; it is shown on a terminal only, and cleared at the end."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def show(self, doing: str) -> None:
        """Replace the line by this one, cut to the terminal's width."""
        if not self._shown:
            return
        # A run goes on after its terminal was closed.
        with contextlib.suppress(OSError):
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            say(f"{_CLEAR}{doing[: width - 1]}", newline=False)

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._clear()
        say(line)

    def _clear(self) -> None:
        if self._shown:
            say(_CLEAR, newline=False)


class Commands(click.Group):
    """A group whose help lists its commands by section, in the order in which they were added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections: dict[str, list[str]] = {}

    def add(self, section: str, *commands: click.Command) -> None:
        """Add commands to a section of the help."""
        for command in commands:
            self.add_command(command)
            self._sections.setdefault(section, []).append(command.name or "")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return [name for names in self._sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections; Click's own list cuts the sentences off."""
        whole = sys.maxsize
        width = max(map(len, self.commands))
        for section, names in self._sections.items():
            with formatter.section(section):
                # Padded, so that the second column begins at the same place in each section.
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(whole)) for name in names]
                )
