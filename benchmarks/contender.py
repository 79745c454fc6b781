"""What a contender is: a process that computes the snapshots of one WhiteBalloon, and says how long it took.

Usage of each: python -m benchmarks.contend_NAME URL SCHEMA, where WhiteBalloon's tables are in a schema on Postgres.
The script and DuckDB also take APP_FILE ANALYSES_FILE, WhiteBalloon's own SQLite files.
It prints the seconds and the digest of the hashes as JSON.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wrapper import SignalProfileSnapshot

Row = Mapping[str, Any]


def is_postgres(source: str) -> bool:
    """Return whether the first argument is the URL of a warehouse, rather than a SQLite file."""
    return source.startswith("postgresql://")


def contend(compute: Callable[[str, str], Iterable[Row]], hashes_count: bool = False) -> None:
    """Time `compute`, which gets the two arguments of the command line and returns all rows.

    The hashes, which prove the rows right, are made on the clock only where they are said to count.
    """
    source = sys.argv[1:]
    started = time.perf_counter()
    rows = compute(*source)
    computed = time.perf_counter() - started
    hashes = sorted(SignalProfileSnapshot.from_dict(row).snapshot_hash() for row in rows)
    digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    seconds = time.perf_counter() - started if hashes_count else computed
    print(json.dumps({"seconds": seconds, "digest": digest, "snapshots": len(hashes)}))
