"""Any dbt command that is typed by hand: `wrapper dbt`."""

from collections.abc import Sequence
from typing import Any

import yaml

from wrapper.dbt_project import project_vars
from wrapper.errors import BuildError, ConfigurationError, ExitCode
from wrapper.nightly.dbt_client import invoke, one_line
from wrapper.operator_vars import complaint
from wrapper.settings import Settings

# Commands of dbt that only read; all others write to the warehouse, or may.
_READING = {"clean", "compile", "debug", "deps", "docs", "init", "list", "ls", "parse", "show", "source"}


def run_command(settings: Settings, source_vars: dict[str, str], arguments: Sequence[str]) -> ExitCode:
    """Run any dbt command against the warehouse, its output going where dbt sends it.

    Raises ConfigurationError if `--vars` is not a mapping, names a var that the project does not have, or gives an
    operator's var a value that it cannot have.
    """
    rest, given = _split_vars(arguments)
    unknown = given.keys() - project_vars().keys()
    if unknown:
        raise ConfigurationError(f"--vars: unknown var {min(map(str, unknown))!r}; dbt_project.yml lists all vars")
    for var, value in given.items():
        if must_be := complaint(var, value):
            raise ConfigurationError(f"--vars: the var {var!r} must be {must_be}")
    from dbt.cli.exceptions import DbtUsageException

    outcome = invoke(settings, "dbt", rest or ["--help"], {**source_vars, **given}, {}, [])
    if outcome.success:
        return ExitCode.DONE
    if isinstance(outcome.exception, DbtUsageException):
        raise ConfigurationError(f"dbt: {one_line(str(outcome.exception))}")
    if outcome.exception is not None:
        raise BuildError(f"dbt: {one_line(str(outcome.exception))}")
    return ExitCode.BUILD_FAILED


def writes(arguments: Sequence[str]) -> bool:
    """Return whether a dbt command may write to the warehouse, as all do that do not begin with one that only reads."""
    return not arguments or arguments[0] not in _READING


def _split_vars(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    rest: list[str] = []
    given: dict[str, Any] = {}
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--vars" or argument.startswith("--vars="):
            text = argument.partition("=")[2] if "=" in argument else next(remaining, "")
            try:
                parsed = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ConfigurationError("--vars is not YAML: write it as '{top_links_limit: 3}'") from error
            if not isinstance(parsed, dict):
                raise ConfigurationError("--vars is not a mapping: write it as '{top_links_limit: 3}'")
            given.update(parsed)
        else:
            rest.append(argument)
    return rest, given
