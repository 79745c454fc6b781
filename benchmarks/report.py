"""The report: benchmarks/RESULTS.md and time_over_size.svg, of all that was measured."""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent
RESULTS_DIR = FOLDER / "results"
# Which of the two clocks counts: that of a whole process, or that of what a contender does in it.
WALL = {"dbt build", "command without load", "command"}
LABELS = {
    "floor": "floor: every body read once",
    "statements": "ours: the statements that build and publish the snapshots",
    "dbt build": "ours: `dbt build`, tests, bio inputs and highlights included",
    "command without load": "ours: `wrapper snapshot --all`, without its load",
    "command": "ours: `wrapper snapshot --all`, with load",
    "script": "a Python script, with hashes",
    "DuckDB": "DuckDB over Postgres",
    "Polars": "Polars over ADBC",
}


def write() -> str:
    """Write both files, and return the table of the ratios as text."""
    found = [json.loads(path.read_text()) for path in RESULTS_DIR.glob("*.json")]
    results = sorted(found, key=lambda result: int(result["comments"]))
    text = _text(results)
    (FOLDER / "RESULTS.md").write_text(text)
    _plot(results, FOLDER / "time_over_size.svg")
    return text


def _seconds(result: dict[str, Any], name: str) -> float:
    clock = "wall" if name in WALL else "seconds" if name != "statements" else "total"
    return float(statistics.median(run[clock] for run in result["snapshots"][name]))


def _mib(result: dict[str, Any], name: str) -> str:
    values = [run["mib"] for run in result["snapshots"][name] if "mib" in run]
    return f"{statistics.median(values):,.0f}" if values else ""


def _text(results: list[dict[str, Any]]) -> str:
    newest = results[-1]["on"]
    lines = [
        "# What was measured",
        "",
        "For whoever wants to know how fast this is, and beside what. Written by `make bench`; [README.md](README.md)",
        "says what is measured, and how. Times are ratios within one run, medians of all its rounds: seconds of one",
        "machine say nothing about another.",
        "",
        *(f"- {key}: {value}" for key, value in newest.items()),
        "",
    ]
    for result in results:
        snapshots = result["snapshots"]["DuckDB"][0]["snapshots"]
        floor = _seconds(result, "floor")
        statements = _seconds(result, "statements")
        lines += [
            f"## {result['comments']:,} comments, {snapshots:,} snapshots, {result['rounds']} rounds",
            "",
            "| | time / floor | time / our statements | peak memory, MiB |",
            "|---|---:|---:|---:|",
            *(
                f"| {LABELS[name]} | {_seconds(result, name) / floor:.1f} | {_seconds(result, name) / statements:.2f} "
                f"| {_mib(result, name)} |"
                for name in LABELS
            ),
            "",
            *_loads(result),
        ]
    lines += _targets(results)
    lines += ["## Over size", "", "![time over size](time_over_size.svg)", ""]
    return "\n".join(lines)


def _loads(result: dict[str, Any]) -> list[str]:
    loads = {name: runs for name, runs in result["loads"].items() if runs}
    medians = {name: statistics.median(run["wall"] for run in runs) for name, runs in loads.items()}
    names = {"load": "`wrapper load`", "dump": "`sqlite3 .dump \\| psql`", "pgloader": "pgloader"}
    return [
        "| copying the tables | time / `wrapper load` | peak memory, MiB |",
        "|---|---:|---:|",
        *(
            f"| {names[name]} | {seconds / medians['load']:.2f} "
            f"| {statistics.median(run['mib'] for run in loads[name]):,.0f} |"
            for name, seconds in medians.items()
        ),
        "",
    ]


def _targets(results: list[dict[str, Any]]) -> list[str]:
    by_size = {result["comments"]: result for result in results}
    result = by_size.get(1_000_000)
    if result is None:
        return []
    statements, build = _seconds(result, "statements"), _seconds(result, "dbt build")
    snapshots = result["snapshots"]["DuckDB"][0]["snapshots"]
    loads = {name: statistics.median(run["wall"] for run in runs) for name, runs in result["loads"].items() if runs}
    beside = statistics.median(run["seconds"] - run["statements"] for run in result["snapshots"]["dbt build"])
    added = _seconds(result, "command without load") - build
    rows = [
        ("statements / floor", statements / _seconds(result, "floor"), 12.0),
        ("statements / script", statements / _seconds(result, "script"), 0.2),
        ("statements / DuckDB", statements / _seconds(result, "DuckDB"), 1.0),
        ("statements / Polars", statements / _seconds(result, "Polars"), 1.0),
        (
            "(command without load − `dbt build`) / (10 % of `dbt build` + 15 µs a snapshot)",
            added / (0.1 * build + 15e-6 * snapshots),
            1.0,
        ),
        ("seconds of `dbt build` in which no statement runs", beside, 6.0),
        ("`wrapper --help`, seconds", result["help"], 0.3),
    ]
    if "dump" in loads:
        rows.append(("load / `sqlite3 .dump \\| psql`", loads["load"] / loads["dump"], 0.25))
    if "memory" in result:
        few, many = result["memory"]["few"], result["memory"]["many"]
        name = f"wrapper's memory at {many['snapshots']:,.0f} snapshots / at {few['snapshots']:,.0f}"
        rows.append((name, many["rss_mib"] / few["rss_mib"], 1.1))
    if five := by_size.get(5_000_000):
        rows.append(("statements at 5,000,000 / at 1,000,000", _seconds(five, "statements") / statements, 5.5))
    return [
        "## Targets, at 1,000,000 comments",
        "",
        "| | measured | at most | |",
        "|---|---:|---:|---|",
        *(
            f"| {name} | {value:.2f} | {most:g} | {'met' if value <= most else 'not met'} |"
            for name, value, most in rows
        ),
        "",
    ]


def _plot(results: list[dict[str, Any]], path: Path) -> None:
    # The same file from the same figures.
    mpl.rcParams["svg.hashsalt"] = "signal-profile-snapshots"
    unit = _seconds(results[0], "floor")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, label in LABELS.items():
        sizes = [result["comments"] for result in results]
        axes.plot(
            sizes, [_seconds(result, name) / unit for result in results], marker="o", label=label.replace("`", "")
        )
    axes.set(
        xscale="log", yscale="log", xlabel="comments", ylabel=f"time; the floor at {results[0]['comments']:,} is 1"
    )
    axes.set_xticks([result["comments"] for result in results], [f"{result['comments']:,}" for result in results])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    print(write())
