"""psql on the embedded Postgres."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

from wrapper.errors import ConfigurationError
from wrapper.warehouse.connection import Warehouse
from wrapper.warehouse.embedded import bundled_programs


def find_psql() -> str:
    """Return the path of the bundled psql, or else of the one on PATH.

    Raises ConfigurationError if there is neither.
    """
    places = os.pathsep.join([str(bundled_programs()), os.environ.get("PATH", os.defpath)])
    program = shutil.which("psql", path=places)
    if program is None:
        raise ConfigurationError("psql is not installed: install PostgreSQL's client, or use wrapper db url")
    return program


def run_psql(program: str, arguments: Sequence[str], warehouse: Warehouse) -> int:
    """Run psql on the open warehouse, with the published schema on its search path, and return its exit code."""
    search_path = f"-c search_path={warehouse.settings.warehouse_schema},public"
    environ = {**os.environ, "PGOPTIONS": f"{os.environ['PGOPTIONS']} {search_path}"}
    # Ctrl-C ends a statement of psql's, and must not end the server below it.
    handler = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run([program, *arguments], env=environ, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, handler)
