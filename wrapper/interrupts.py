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
    """Handle the three signals from now on; nohup ignores SIGHUP, and so do we then."""
    # Python's handlers do not run while its main thread waits in C; this pipe gets a byte all the same.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_cancel_statements, args=(reader,), daemon=True).start()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def release() -> None:
    """Let interrupts through from now on, one that waited first: until then they wait.

    Raises KeyboardInterrupt.
    """
    global _held
    _held = False
    if _came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def let_in() -> Iterator[None]:
    """Let interrupts through while this lasts; afterwards they wait again, and for ever.

    Raises KeyboardInterrupt, also in the place of whatever else fails once one came.
    """
    global _held
    try:
        release()
        yield
    except Exception as error:
        # psycopg2 and dbt each have a way to make something else of it.
        if _came:
            raise KeyboardInterrupt from error
        raise
    finally:
        _held = True


def came() -> bool:
    """Tell whether an interrupt came, even if somebody's bare `except:` took it."""
    return _came


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let interrupts wait while this lasts.

    Raises KeyboardInterrupt at its end, if one came.
    """
    global _held
    _held = True
    yield
    release()


def ignore() -> None:
    """Let no signal change an exit code that is decided, which Python's default handlers would do as it ends."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_statements_of(connection: _Cancellable) -> None:
    """End what this connection is executing when an interrupt comes."""
    _connections.add(connection)


def wait_for(function: Callable[[], T]) -> T:
    """Return what the function returns, called in a thread so that an interrupt need not wait for it."""
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
            # One that was closed in the meantime has nothing to cancel.
            with contextlib.suppress(Exception):
                connection.cancel()
