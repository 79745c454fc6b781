"""What a contender is: a process that computes the snapshots of one WhiteBalloon, and says how long it took.

Usage of each: python -m benchmarks.contend_NAME URL SCHEMA. It prints seconds and the digest of the hashes as JSON.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wrapper import SignalProfileSnapshot

Row = Mapping[str, Any]


def contend(compute: Callable[[str, str], Iterable[Row]], hashes_count: bool = False) -> None:
    """Time `compute`, which gets the warehouse's URL and the schema of WhiteBalloon's tables and returns all rows.

    The hashes, which prove the rows right, are made on the clock only where they are said to count.
    """
    url, schema = sys.argv[1:]
    started = time.perf_counter()
    rows = compute(url, schema)
    computed = time.perf_counter() - started
    hashes = sorted(SignalProfileSnapshot.from_dict(row).snapshot_hash() for row in rows)
    digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    seconds = time.perf_counter() - started if hashes_count else computed
    print(json.dumps({"seconds": seconds, "digest": digest, "snapshots": len(hashes)}))
