"""Write docs/commands.md, with what each command prints with --help. Usage: commands.py > docs/commands.md"""

import os
from collections.abc import Iterator
from typing import Any

import click

os.environ["COLUMNS"] = "80"

from wrapper.cli import cli

HEAD = """# Commands

For operators. Each section shows what the command prints with `--help`. [Settings](settings.md) lists the settings and
the exit codes, [Operating](operating.md) says what a run does. `make commands` writes this page.
"""


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """Yield the section of a command and of all that are below it."""
    widths: dict[str, Any] = {"terminal_width": 80}
    context = click.Context(command, parent=parent, info_name=name, **command.context_settings, **widths)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.commands[name], name, context)


if __name__ == "__main__":
    print("\n".join([HEAD, *commands(cli, "wrapper")]), end="")
