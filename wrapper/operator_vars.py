"""The dbt vars that operators set in the YAML file that SNAPSHOT_VARS names."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from wrapper.dbt_project import project_vars
from wrapper.errors import ConfigurationError


def _is_whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item and "\0" not in item for item in value)


def _are_parameters(value: Any) -> bool:
    return _are_names(value) and not {"=", "&"} & set("".join(value))


# What each value must be, in the words of macros/run_start/check_vars.sql, which checks all vars that dbt gets.
_LIMIT = ("a whole number from 0 to 1000", _is_whole(0, 1000))
_NAMES = ("a list of texts, none of them empty", _are_names)
CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "top_links_limit": _LIMIT,
    "top_tags_limit": _LIMIT,
    "bio_messages_limit": _LIMIT,
    "losses_checked_from": _LIMIT,
    "tracking_parameters": (
        "a list of names of query parameters, none of them empty or with = or & in it",
        _are_parameters,
    ),
    "analyst_roles": _NAMES,
    "bio_roles": _NAMES,
    "threads": ("a whole number from 1 to 64", _is_whole(1, 64)),
    "work_mem": (
        "an amount of memory from 1MB to 9999MB",
        lambda value: isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,3}MB", value) is not None,
    ),
    "parallel_workers": (
        "null or a whole number from 0 to 64",
        lambda value: value is None or _is_whole(0, 64)(value),
    ),
    "distributed": ("true or false", lambda value: isinstance(value, bool)),
}


def complaint(name: str, value: Any) -> str | None:
    """Return what the value of an operator's var must be, if it is not; None for any other var."""
    if name not in CHECKS:
        return None
    must_be, is_valid = CHECKS[name]
    return None if is_valid(value) else must_be


def read_vars(path: Path) -> dict[str, Any]:
    """Return the vars in the file.

    Raises ConfigurationError if it cannot be read, or has a var that operators cannot set or a value it cannot have.
    """
    place, example = f"SNAPSHOT_VARS: {path}", "write a line like top_links_limit: 3 for each var"
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise ConfigurationError(f"{place} cannot be read: {reason}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{place} is not valid YAML: {example}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigurationError(f"{place} is not a mapping: {example}")
    for name, value in given.items():
        if name not in CHECKS:
            problem = "cannot be set there" if name in project_vars() else "does not exist"
            raise ConfigurationError(f"{place}: the var {name!r} {problem}; these can be: {', '.join(CHECKS)}")
        if must_be := complaint(name, value):
            raise ConfigurationError(f"{place}: the var {name!r} must be {must_be}")
    return given
