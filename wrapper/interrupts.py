"""Ctrl-C, SIGTERM and SIGHUP as KeyboardInterrupt, even while libpq waits, and never while a run is being logged."""

import contextlib
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Protocol, TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Cancellable(Protocol):
    def cancel(self) -> None: ...


_connections: "weakref.WeakSet[_Cancellable]" = weakref.WeakSet()
_held = True
_came = False


def install() -> None:
    """Handle the three signals from now on, except SIGHUP if it is ignored, as under nohup."""
    # Python's handlers do not run while the main thread waits in C, but this pipe gets a byte.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_cancel_statements, args=(reader,), daemon=True).start()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def release() -> None:
    """Deliver interrupts from now on, including one that has been waiting.

    Raises KeyboardInterrupt.
    """
    global _held
    _held = False
    if _came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def let_in() -> Iterator[None]:
    """Deliver interrupts within this block; afterwards they wait forever.

    Raises KeyboardInterrupt, also in place of any other exception after an interrupt.
    """
    global _held
    try:
        release()
        yield
    except Exception as error:
        # psycopg2 and dbt turn an interrupt into other exceptions.
        if _came:
            raise KeyboardInterrupt from error
        raise
    finally:
        _held = True


def came() -> bool:
    """Return whether an interrupt came, even if a bare `except:` swallowed it."""
    return _came


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delay interrupts until the end of this block.

    Raises KeyboardInterrupt at the end, if one came.
    """
    global _held
    _held = True
    yield
    release()


def ignore() -> None:
    """Ignore signals while Python shuts down, so that they cannot change the exit code."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_statements_of(connection: _Cancellable) -> None:
    """Cancel the statement that this connection executes when an interrupt comes."""
    _connections.add(connection)


def wait_for(function: Callable[[], T]) -> T:
    """Call the function in a thread, so that an interrupt need not wait for it, and return its result."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result()


def _interrupt(number: int, frame: object) -> None:
    global _came
    _came = True
    if not _held:
        raise KeyboardInterrupt


def _cancel_statements(reader: int) -> None:
    while os.read(reader, 1):
        for connection in list(_connections):
            # A connection that was closed in the meantime has nothing to cancel.
            with contextlib.suppress(Exception):
                connection.cancel()
