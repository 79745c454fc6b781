"""What a run that fails or is interrupted says about the snapshots that it has published by then."""

import contextlib
from collections.abc import Callable, Iterator

import psycopg2

from wrapper import interrupts
from wrapper.errors import BuildError, WrapperError
from wrapper.warehouse.error_text import first_line

_PREFIX = "the snapshots are published, but "


@contextlib.contextmanager
def telling(is_published: Callable[[], bool]) -> Iterator[None]:
    """Have the message of whatever ends this block say that the snapshots are published, if they are.

    Raises KeyboardInterrupt, WrapperError and, for an error of the database, BuildError, each with that message.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not is_published():
            raise
        if isinstance(error, KeyboardInterrupt) or interrupts.came():
            raise KeyboardInterrupt(f"{_PREFIX}the run was interrupted: run again to complete it") from error
        if isinstance(error, WrapperError):
            raise type(error)(f"{_PREFIX}{error}") from error
        if isinstance(error, psycopg2.Error):
            raise BuildError(f"{_PREFIX}the warehouse failed: {first_line(error)}") from error
        raise
