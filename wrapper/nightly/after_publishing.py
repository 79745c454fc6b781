"""Telling, when a run fails or is interrupted, whether it had already published the snapshots."""

import contextlib
from collections.abc import Callable, Iterator

import psycopg2

from wrapper import interrupts
from wrapper.errors import BuildError, WrapperError
from wrapper.warehouse.error_text import first_line

_PREFIX = "the snapshots are published, but "


@contextlib.contextmanager
def telling(is_published: Callable[[], bool]) -> Iterator[None]:
    """If this block ends early and the snapshots are published, say so in the exception's message.

    Raises KeyboardInterrupt, WrapperError or, for a database error, BuildError with that message.
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
