"""The wrapper in a process forked from one that has used dbt before, since dbt's start is most of a small run."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.wrapper.warm"])


def run(arguments: Sequence[str], cwd: Path, environ: Mapping[str, str], timeout: float, output: Path) -> int:
    """Run the wrapper to its end and return its exit code; `output` gets the files `stdout` and `stderr`."""
    process = _CONTEXT.Process(target=_main, args=(arguments, cwd, dict(environ), output))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(["wrapper", *arguments], timeout)
    return process.exitcode


def _main(arguments: Sequence[str], cwd: Path, environ: Mapping[str, str], output: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(output / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    # As Python sets them up for files.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["wrapper", *arguments]
    from wrapper.cli import main

    main()
