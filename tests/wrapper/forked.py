"""The wrapper in processes forked from one that has used dbt before, since dbt's start is most of a small run."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.wrapper.warm"])


class ForkedProcess:
    """A running wrapper, with the part of the interface of subprocess.Popen that tests use."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, environ: Mapping[str, str], *, start_new_session: bool
    ) -> None:
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        self.args = ["wrapper", *arguments]
        self._process = _CONTEXT.Process(target=_main, args=(self.args, cwd, dict(environ), ends, start_new_session))
        self._process.start()
        self.pid = self._process.pid or 0
        # Text files in place of the connections, which have a protocol of their own.
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), encoding="utf-8") for end, _ in pipes)
        for end in (end for pipe in pipes for end in pipe):
            end.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        with ThreadPoolExecutor(2) as pool, self.stdout, self.stderr:
            read = [pool.submit(file.read) for file in (self.stdout, self.stderr)]
            self.wait(timeout)
            return read[0].result(), read[1].result()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


Process = subprocess.Popen[str] | ForkedProcess


def _main(
    argv: list[str], cwd: Path, environ: Mapping[str, str], ends: Sequence[Connection], start_new_session: bool
) -> None:
    if start_new_session:
        os.setsid()
    # The process that forks ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    for descriptor, end in enumerate(ends, start=1):
        os.dup2(end.fileno(), descriptor)
        end.close()
    # As Python sets them up for pipes.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = argv
    from wrapper.cli import main

    main()
