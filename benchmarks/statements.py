"""The statements that `dbt build` runs: captured once, and run again without dbt around them.

Usage: python -m benchmarks.statements CAPTURE_FILE, with libpq's variables set. It prints the seconds as JSON.
"""

import concurrent.futures
import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2

from wrapper.dbt_project import project_vars
from wrapper.nightly.dbt_client import PUBLISHED

THREADS: int = project_vars()["threads"]


@dataclasses.dataclass
class Statement:
    """One statement, its node, and the seconds since the build began at which it started and ended."""

    node: str
    sql: str
    started: float
    ended: float = 0.0


class Recorder:
    """A callback for dbt that keeps every statement of every node."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._began = time.perf_counter()
        self._open: dict[int, Statement] = {}

    def __call__(self, event: Any) -> None:
        # dbt calls from the thread that runs the statement, before it and after it.
        now, thread = time.perf_counter() - self._began, threading.get_ident()
        if event.info.name == "SQLQuery":
            self._open[thread] = Statement(event.data.node_info.unique_id, event.data.sql, now)
            self.statements.append(self._open[thread])
        elif event.info.name == "SQLQueryStatus" and thread in self._open:
            self._open.pop(thread).ended = now

    def busy_seconds(self) -> float:
        """Return for how long at least one statement was running."""
        total = until = 0.0
        for statement in sorted(self.statements, key=lambda statement: statement.started):
            ended = max(statement.ended, statement.started)
            total += max(ended - max(statement.started, until), 0.0)
            until = max(until, ended)
        return total


def save_publication(recorder: Recorder, results: Any, path: Path) -> None:
    """Write what publishes the snapshots, with all that the candidates are made of: each node, its parents, its SQL.

    What is published beside them, bio inputs and highlights, no contender computes, so it is left out; so are tests.
    """
    built = [result.node for result in results if _is_built(result.node)]
    parents = {node.unique_id: set(node.depends_on.nodes) for node in built}
    wanted, found = {"model.signal_profiles.int_snapshot_candidates"}, set()
    while wanted:
        node = wanted.pop()
        found.add(node)
        wanted |= (parents[node] & parents.keys()) - found
    parents[PUBLISHED] &= found
    found.add(PUBLISHED)
    sql = {node: [entry.sql for entry in recorder.statements if entry.node == node] for node in found}
    nodes = {node: {"parents": sorted(parents[node] & found), "sql": sql[node]} for node in sorted(found)}
    path.write_text(json.dumps(nodes))


def _is_built(node: Any) -> bool:
    # Without the seed, 49 rows whose values dbt sends apart from the statement.
    return bool(node.resource_type == "model" and node.config.materialized != "ephemeral")


def replay(path: Path) -> dict[str, float]:
    """Run the statements again, in as many threads as dbt does, and return the seconds of each node and of all."""
    nodes = json.loads(path.read_text())
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    running: dict[concurrent.futures.Future[float], str] = {}
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        waiting = set(nodes)
        while waiting or running:
            for node in sorted(waiting):
                if all(parent in seconds for parent in nodes[node]["parents"]):
                    running[pool.submit(_run, nodes[node]["sql"])] = node
                    waiting.discard(node)
            for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                seconds[running.pop(future)] = future.result()
    return {**seconds, "total": time.perf_counter() - began}


def _run(statements: list[str]) -> float:
    began = time.perf_counter()
    connection = psycopg2.connect("")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(replay(Path(sys.argv[1]))))
