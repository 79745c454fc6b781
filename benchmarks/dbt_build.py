"""dbt's own build of what a run builds, without the wrapper around it; its statements are kept for `replay`.

Usage: python -m benchmarks.dbt_build TARGET_FOLDER, with libpq's variables set. It prints the seconds as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.statements import Recorder, save_publication
from wrapper.dbt_project import PROJECT_DIR
from wrapper.nightly.dbt_client import BUILD, NIGHTLY

CAPTURE = "statements.json"


def build(target: Path) -> dict[str, Any]:
    """Build, and return the seconds from the import of dbt to its end, and those in which a statement was running."""
    os.environ |= {
        "DBT_PROJECT_DIR": str(PROJECT_DIR), "DBT_PROFILES_DIR": str(PROJECT_DIR), "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target), "DBT_LOG_LEVEL_FILE": "none",
    }  # fmt: skip
    started = time.perf_counter()
    from dbt.cli.main import dbtRunner

    imported = time.perf_counter()
    recorder = Recorder()
    outcome = dbtRunner(callbacks=[recorder]).invoke([*BUILD, "--selector", NIGHTLY.selector])
    if not outcome.success:
        raise SystemExit(f"dbt build failed: {outcome.exception or outcome.result}")
    seconds = time.perf_counter() - started
    save_publication(recorder, outcome.result.results, target / CAPTURE)
    first = min(statement.started for statement in recorder.statements)
    return {
        "seconds": seconds,
        "importing": imported - started,
        "before the first statement": first,
        "statements": recorder.busy_seconds(),
        "nodes": len(outcome.result.results),
    }


if __name__ == "__main__":
    print(json.dumps(build(Path(sys.argv[1]))))
