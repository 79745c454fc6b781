"""Measure everything side by side at one size, write benchmarks/results/SIZE.json and write the report.

Usage: python -m benchmarks.run COMMENTS ROUNDS. What it makes is below .bench, and made once a size.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn

from benchmarks import report
from benchmarks.dbt_build import CAPTURE
from benchmarks.generate import edit, generate
from benchmarks.peak import Peak
from examples.make_whiteballoon import main as make_example
from wrapper.dbt_project import PROJECT_DIR

BENCH_DIR = PROJECT_DIR / ".bench"
WRAPPER = Path(sys.executable).with_name("wrapper")
PACKAGES = ("dbt-core", "dbt-postgres", "duckdb", "polars", "adbc-driver-postgresql", "psycopg2-binary")
COMMENTS_PER_MEMBERSHIP = 100
# For the memory of the wrapper: (comments, memberships) of few snapshots and of a hundred times as many.
FEW, MANY = (100_000, 1_000), (1_000_000, 200_000)
Measured = dict[str, float]


class Instance:
    """A WhiteBalloon, written once, and the warehouse it is loaded into.

    Its commands are slower while `samples_memory` is set, since sampling takes a share of the processors.
    """

    samples_memory = False

    def __init__(self, name: str, write: Callable[[Path], None]) -> None:
        self.folder = BENCH_DIR / name
        self.app, unedited = self.folder / "app.db", self.folder / "unedited.db"
        if not unedited.exists():
            write(self.folder)
            self.app.rename(unedited)
        shutil.copy(unedited, self.app)
        self.analyses = self.folder / "comment_llm_insights.db"
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DATABASE_URL": f"sqlite:///{self.app}",
            "COMMENT_INSIGHTS_DB": str(self.analyses),
            "STORAGE_DIR": str(self.folder / "storage"),
            "PROFILE_SIGNAL_GLAZE": "on",
            "PYTHONPATH": str(PROJECT_DIR),
        }
        self.url = subprocess.check_output([WRAPPER, "db", "start"], env=self.environ, text=True).strip()
        dsn = parse_dsn(self.url)
        self.environ |= {
            "PGHOST": dsn["host"], "PGPORT": dsn["port"], "PGUSER": dsn["user"], "PGDATABASE": dsn["dbname"],
            "WAREHOUSE_SCHEMA": "signal_profiles",
        }  # fmt: skip
        pid_file = self.folder / "storage" / "postgres" / "postmaster.pid"
        self.server_pids = [int(pid_file.read_text().splitlines()[0])]

    @classmethod
    def generated(cls, comments: int, memberships: int) -> "Instance":
        """Return the generated WhiteBalloon of this size."""
        return cls(f"{comments}-{memberships}", lambda folder: generate(folder, comments, memberships))

    def stop(self) -> None:
        """Stop the server."""
        subprocess.run([WRAPPER, "db", "stop"], env=self.environ, check=True, stderr=subprocess.DEVNULL)
        self.server_pids = []

    def run(self, *command: str | Path) -> dict[str, Any]:
        """Run a command to its end; return its last line of JSON, `wall` seconds, `rss_mib`, and `mib` if sampled."""
        started = time.perf_counter()
        process = subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        sampling = Peak(process.pid, *self.server_pids) if self.samples_memory else contextlib.nullcontext()
        with sampling as peak:
            output = process.stdout.read().decode() if process.stdout else ""
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        if status:
            raise SystemExit(f"failed: {' '.join(map(str, command))}")
        printed = json.loads(output.splitlines()[-1]) if output.startswith("{") else {}
        memory = {"mib": peak.mib} if peak else {}
        return {**printed, **memory, "wall": wall, "rss_mib": usage.ru_maxrss / 1024}

    def rebuild(self) -> dict[str, Any]:
        """Run a snapshot that builds, whatever has changed."""
        return self.run(WRAPPER, "snapshot", "--all", "--rebuild", "--json")

    def night(self, changed: bool) -> dict[str, Any]:
        """Run a snapshot as every night; after a change it must build, and else it must not."""
        entry = self.run(WRAPPER, "snapshot", "--all", "--json")
        if entry["built"] != changed:
            raise SystemExit(f"a night {'after a change built nothing' if changed else 'without a change built'}")
        return entry

    def module(self, name: str, *arguments: str | Path) -> dict[str, Any]:
        """Run one of the benchmark's own modules."""
        return self.run(sys.executable, "-m", f"benchmarks.{name}", *arguments)


def floor(instance: Instance) -> Measured:
    """Read every body once, warm, with the settings that the project's own statements have."""
    macros = (PROJECT_DIR / "macros" / "warehouse" / "session.sql").read_text()
    with psycopg2.connect(instance.url) as connection, connection.cursor() as cursor:
        # Those of tune_transaction() that depend on no var.
        for setting in re.findall(r"set local \w+ = [\w.]+", macros):
            cursor.execute(setting)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            cursor.execute("select sum(length(body)), count(*) from signal_profiles_source.request_comments")
            seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds[1:])}


def measure_snapshots(instance: Instance, rounds: int) -> dict[str, list[Measured]]:
    """Run every contender in turn, once for its memory and `rounds` times for its time.

    Before that, this project builds once without being measured, so that dbt can reuse its parse.
    """
    target = instance.folder / "target"
    postgres, sqlite = (instance.url, "signal_profiles_source"), (instance.app, instance.analyses)
    contenders: dict[str, Callable[[], dict[str, Any]]] = {
        "changed night": lambda: instance.night(changed=True),
        "unchanged night": lambda: instance.night(changed=False),
        "script over SQLite": lambda: instance.module("contend_script", *sqlite),
        "DuckDB over SQLite": lambda: instance.module("contend_duckdb", *sqlite),
        "floor": lambda: floor(instance),
        # What dbt built last is what its statements may publish again.
        "dbt build": lambda: instance.module("dbt_build", target),
        "statements": lambda: instance.module("statements", target / CAPTURE),
        # Last of our own, since the two before it leave the stored hashes unchanged.
        "command without load": lambda: instance.module("without_load"),
        "script": lambda: instance.module("contend_script", *postgres),
        "DuckDB": lambda: instance.module("contend_duckdb", *postgres),
        "Polars": lambda: instance.module("contend_polars", *postgres),
    }
    instance.rebuild()
    contenders["dbt build"]()
    contenders["command without load"]()
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        instance.samples_memory = number == 0
        edit(instance.folder, number)
        expected = None
        for name, contend in contenders.items():
            result = contend()
            expected = expected or result["snapshots_digest"]
            if result.get("digest", expected) != expected or result.get("snapshots_digest", expected) != expected:
                raise SystemExit(f"{name} reaches other hashes, so that the comparison does not count")
            measured[name].append({key: value for key, value in result.items() if isinstance(value, float | int)})
            print(f"round {number}: {name}", file=sys.stderr)
    return {name: _times_and_memory(runs) for name, runs in measured.items()}


def _times_and_memory(runs: list[Measured]) -> list[Measured]:
    """Leave out the first round, in which memory was sampled, and add that memory to each of the others."""
    memory = {key: value for key, value in runs[0].items() if key == "mib"} if runs else {}
    return [{**run, **memory} for run in runs[1:]]


def measure_loads(instance: Instance, rounds: int) -> dict[str, list[Measured]]:
    """Copy the same tables in three ways, each into tables of its own; by the slow ones every third time only."""
    measured: dict[str, list[Measured]] = {"load": [], "dump": [], "pgloader": []}
    dump = ("sh", PROJECT_DIR / "benchmarks" / "dump_and_psql.sh", instance.folder)
    for number in range(rounds + 1):
        instance.samples_memory = number == 0
        measured["load"].append(instance.run(WRAPPER, "load"))
        if number == 0 or number % 3 == 1:
            if shutil.which("sqlite3") and shutil.which("psql"):
                measured["dump"].append(instance.run(*dump))
            if shutil.which("pgloader"):
                measured["pgloader"].append(_pgloader(instance))
        print(f"round {number}: loads", file=sys.stderr)
    return {name: _times_and_memory(runs) for name, runs in measured.items()}


def _pgloader(instance: Instance) -> Measured:
    with psycopg2.connect(instance.url) as connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists public cascade; create schema public")
    target = f"postgresql://{instance.environ['PGUSER']}@unix:{instance.environ['PGHOST']}:5432/postgres"
    runs = [
        instance.run("pgloader", f"sqlite://{instance.folder / name}", target)
        for name in ("app.db", "comment_llm_insights.db")
    ]
    return {"wall": sum(run["wall"] for run in runs), "mib": max(run.get("mib", 0) for run in runs)}


def measure_help(instance: Instance) -> float:
    """Return the median seconds of `wrapper --help`."""
    return float(statistics.median(instance.run(WRAPPER, "--help")["wall"] for _ in range(9)))


def measure_example() -> Measured:
    """Return the median seconds with the example database, each time including the start of the embedded server.

    They are those of an unchanged night, and of `wrapper freshness` after highlights have changed.
    """
    instance = Instance("example", make_example)
    try:
        instance.rebuild()
    finally:
        instance.stop()
    seconds: dict[str, list[float]] = {"example": [], "refresh": []}
    for _ in range(9):
        seconds["example"].append(instance.night(changed=False)["wall"])
        with contextlib.closing(sqlite3.connect(instance.app)) as app, app:
            app.execute("update user_profile_highlights set is_stale = not is_stale")
        seconds["refresh"].append(instance.run(WRAPPER, "freshness", "--json")["wall"])
    return {name: statistics.median(measured) for name, measured in seconds.items()}


def measure_memory() -> dict[str, dict[str, float]]:
    """Return the snapshots and the wrapper's peak memory, of a whole run, at few snapshots and at many."""
    found = {}
    for name, size in (("few", FEW), ("many", MANY)):
        instance = Instance.generated(*size)
        try:
            entry = instance.rebuild()
        finally:
            instance.stop()
        found[name] = {"snapshots": entry["generated"], "rss_mib": entry["rss_mib"]}
    return found


def machine(instance: Instance) -> dict[str, str]:
    """Return what the figures depend on."""
    with psycopg2.connect(instance.url) as connection, connection.cursor() as cursor:
        cursor.execute("show server_version")
        row = cursor.fetchone()
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "machine": f"{os.cpu_count()} cores ({cpu}), {platform.system()} {platform.machine()}",
        "PostgreSQL": row[0] if row else "",
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def main(comments: int, rounds: int) -> None:
    """Measure at one size and write results and report."""
    instance = Instance.generated(comments, comments // COMMENTS_PER_MEMBERSHIP)
    try:
        results: dict[str, Any] = {
            "comments": comments,
            "rounds": rounds,
            "snapshots": measure_snapshots(instance, rounds),
            "loads": measure_loads(instance, rounds),
            "help": measure_help(instance),
            "on": machine(instance),
        }
    finally:
        instance.stop()
    results |= measure_example()
    if comments == 1_000_000:
        results["memory"] = measure_memory()
    path = report.RESULTS_DIR / f"{comments}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(report.write())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comments", type=int)
    parser.add_argument("rounds", type=int)
    main(**vars(parser.parse_args()))
