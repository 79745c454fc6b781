"""The report: benchmarks/RESULTS.md and time_over_size.svg, of all that was measured."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

FOLDER = Path(__file__).parent
RESULTS_DIR = FOLDER / "results"
SIZE = 1_000_000
# Takes the results at SIZE and those of every size. Raises KeyError where what it needs was not measured.
Measure: TypeAlias = Callable[[dict[str, Any], dict[int, dict[str, Any]]], float]
# Which of the two clocks counts: that of a whole process, or that of what a contender does in it.
WALL = {
    "changed night", "unchanged night", "script over SQLite", "DuckDB over SQLite", "dbt build", "command without load",
}  # fmt: skip
# From WhiteBalloon's files to the hashes, each as a whole process; then what starts from the tables in Postgres.
NIGHTS = {
    "changed night": "ours: a changed night, one comment in a thousand edited",
    "unchanged night": "ours: an unchanged night",
    "script over SQLite": "a Python script over SQLite",
    "DuckDB over SQLite": "DuckDB over SQLite",
}
LABELS = {
    "floor": "floor: every body read once",
    "statements": "ours: the statements that build and publish the snapshots",
    "dbt build": "ours: `dbt build`, tests, bio inputs and highlights included",
    "command without load": "ours: `wrapper snapshot --all`, without its load",
    "script": "a Python script over Postgres, with hashes",
    "DuckDB": "DuckDB over Postgres",
    "Polars": "Polars over ADBC",
}


def write() -> str:
    """Write both files, and return the tables as text."""
    results = read_results()
    text = describe(results)
    (FOLDER / "RESULTS.md").write_text(text)
    _plot(results, FOLDER / "time_over_size.svg")
    return text


def read_results() -> list[dict[str, Any]]:
    """Return what was measured, by size."""
    found = [json.loads(path.read_text()) for path in RESULTS_DIR.glob("*.json")]
    return sorted(found, key=lambda result: int(result["comments"]))


def _seconds(result: dict[str, Any], name: str) -> float:
    clock = "wall" if name in WALL else "seconds" if name != "statements" else "total"
    return float(statistics.median(run[clock] for run in result["snapshots"][name]))


def _mib(result: dict[str, Any], name: str) -> str:
    values = [run["mib"] for run in result["snapshots"][name] if "mib" in run]
    return f"{statistics.median(values):,.0f}" if values else ""


def describe(results: list[dict[str, Any]]) -> str:
    """Return the text of RESULTS.md."""
    newest = results[-1]["on"]
    lines = [
        "# What was measured",
        "",
        "How fast this project is, compared with other ways to the same snapshots. `make bench` writes this page, and",
        "[README.md](README.md) says what is measured, and how. Times are ratios within one run, medians of all its",
        "rounds: seconds on one machine say nothing about another.",
        "",
        *(f"- {key}: {value}" for key, value in newest.items()),
        "",
    ]
    for result in results:
        snapshots = result["snapshots"]["DuckDB"][0]["snapshots"]
        floor = _seconds(result, "floor")
        statements = _seconds(result, "statements")
        lines += [
            f"## {result['comments']:,} comments, {snapshots:,} snapshots, rounds: {result['rounds']}",
            "",
            *_nights(result),
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
    lines += targets(results)
    lines += ["## Over size", "", "![time over size](time_over_size.svg)", ""]
    return "\n".join(lines)


def _nights(result: dict[str, Any]) -> list[str]:
    if not NIGHTS.keys() <= result["snapshots"].keys():
        return []
    script = _seconds(result, "script over SQLite")
    return [
        "| from SQLite files to hashes | time / the Python script | peak memory, MiB |",
        "|---|---:|---:|",
        *(f"| {NIGHTS[name]} | {_seconds(result, name) / script:.2f} | {_mib(result, name)} |" for name in NIGHTS),
        "",
    ]


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


def targets(results: list[dict[str, Any]]) -> list[str]:
    """Return the table of the targets, which names those that were not measured."""
    by_size = {result["comments"]: result for result in results}
    result = by_size.get(SIZE)
    if result is None:
        return []
    rows = []
    for name, most, measure in TARGETS:
        try:
            value = measure(result, by_size)
        except KeyError:
            rows.append(f"| {name} | | {most:g} | not measured |")
        else:
            rows.append(f"| {name} | {value:.2f} | {most:g} | {'met' if value <= most else 'not met'} |")
    return [
        f"## Targets, at {SIZE:,} comments",
        "",
        "| | measured | at most | |",
        "|---|---:|---:|---|",
        *rows,
        "",
    ]


def _ratio(one: str, other: str) -> Measure:
    return lambda result, _: _seconds(result, one) / _seconds(result, other)


def _growth(name: str) -> Measure:
    return lambda result, by_size: _seconds(by_size[5 * SIZE], name) / _seconds(result, name)


def _load_seconds(result: dict[str, Any], name: str) -> float:
    runs = result["loads"][name]
    if not runs:
        raise KeyError(name)
    return float(statistics.median(run["wall"] for run in runs))


def _memory(result: dict[str, Any], _: dict[int, dict[str, Any]]) -> float:
    return float(result["memory"]["many"]["rss_mib"] / result["memory"]["few"]["rss_mib"])


def _overhead(result: dict[str, Any], _: dict[int, dict[str, Any]]) -> float:
    """What the wrapper adds to dbt's build, beside what it may add."""
    build = _seconds(result, "dbt build")
    snapshots = result["snapshots"]["DuckDB"][0]["snapshots"]
    return (_seconds(result, "command without load") - build) / float(0.1 * build + 15e-6 * snapshots)


def _idle(result: dict[str, Any], _: dict[int, dict[str, Any]]) -> float:
    return float(statistics.median(run["seconds"] - run["statements"] for run in result["snapshots"]["dbt build"]))


TARGETS: list[tuple[str, float, Measure]] = [
    ("changed night / the Python script over SQLite", 1.6, _ratio("changed night", "script over SQLite")),
    ("unchanged night / the same script", 0.7, _ratio("unchanged night", "script over SQLite")),
    (
        "`wrapper load` / the same script",
        0.5,
        lambda result, _: _load_seconds(result, "load") / _seconds(result, "script over SQLite"),
    ),
    ("changed night at 5,000,000 / at 1,000,000", 5.2, _growth("changed night")),
    ("statements / DuckDB over Postgres", 1.5, _ratio("statements", "DuckDB")),
    ("example database, unchanged night, seconds", 1.5, lambda result, _: float(result["example"])),
    ("example database, freshness after highlights changed, seconds", 1, lambda result, _: float(result["refresh"])),
    ("peak memory of the wrapper at a hundred times the snapshots", 1.1, _memory),
    ("statements / floor", 12, _ratio("statements", "floor")),
    ("statements / the Python script over Postgres", 0.2, _ratio("statements", "script")),
    ("statements / Polars", 1, _ratio("statements", "Polars")),
    ("(command without load − `dbt build`) / (10 % of `dbt build` + 15 µs a snapshot)", 1, _overhead),
    ("seconds of `dbt build` in which no statement runs", 6, _idle),
    ("`wrapper --help`, seconds", 0.3, lambda result, _: float(result["help"])),
    (
        "load / `sqlite3 .dump \\| psql`",
        0.25,
        lambda result, _: _load_seconds(result, "load") / _load_seconds(result, "dump"),
    ),
    ("statements at 5,000,000 / at 1,000,000", 5.5, _growth("statements")),
]


def _plot(results: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same file from the same figures.
    mpl.rcParams["svg.hashsalt"] = "signal-profile-snapshots"
    unit = _seconds(results[0], "floor")
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for name, label in (NIGHTS | LABELS).items():
        measured = [result for result in results if name in result["snapshots"]]
        axes.plot(
            [result["comments"] for result in measured],
            [_seconds(result, name) / unit for result in measured],
            # There are more contenders than colours.
            linestyle="--" if name in NIGHTS else "-",
            marker="o",
            label=label.replace("`", ""),
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
