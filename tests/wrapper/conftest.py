"""Real servers, real SQLite files in WhiteBalloon's shape, and the wrapper as a real process."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from examples.make_whiteballoon import main as make_example
from tests.wrapper.forked import ForkedProcess, Process
from tests.wrapper.servers import VERSIONS, Server, start_server
from tests.wrapper.whiteballoon import WhiteBalloon

WRAPPER = Path(sys.executable).with_name("wrapper")
# Markup, a template, escapes, marks that turn the text or end its line, and a script that runs the other way.
HOSTILE_LABELS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>{{7*7}}',
    "\x1b[31mred\x1b]0;title\x07a\tb\rc\x9b32m",
    "\u202eturned\u202bto\u2028a side",
    "שלום עולם",
]
HOSTILE_LINK = "https://evil.example/<b>?\"onmouseover='alert(1)'"
HOSTILE_SLUG = "<i>g</i>\x1b[2Jسلام"
LONG_LINK = "https://plain.example/" + "x" * 5000
_PATIENCE_SECONDS = 180
_numbers = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="attack at full length, as `make test-faults` does")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "citus: only where CITUS_URL names the coordinator of a Citus cluster")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the attacks marked `full` to `make test-faults`, which has others of their kind in `make test`."""
    if not config.getoption("full"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full")])
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(scope="session")
def amount(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """How much of an attack is tried: the first number in `make test`, the second in `make test-faults`."""
    return lambda short, full: full if pytestconfig.getoption("full") else short


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded with record_property: the figures of docs/reliability.md."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL 18 of the wheel, as the embedded warehouse sets it up."""
    with start_server("18", tmp_path_factory.mktemp("pg")) as running:
        yield running


@pytest.fixture(scope="session", params=sorted(VERSIONS))
def any_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each supported PostgreSQL in turn."""
    with start_server(request.param, tmp_path_factory.mktemp("pg")) as running:
        yield running


def query(warehouse: Connection, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement as an analyst would, and return its rows where it has any."""
    with warehouse.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something comes true, or fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@dataclasses.dataclass
class Result:
    """A finished process."""

    code: int
    stdout: str
    stderr: str


@dataclasses.dataclass
class Wrapper:
    """The wrapper with a working directory and settings of its own."""

    cwd: Path
    environ: dict[str, str]

    def start(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        stderr: int = subprocess.PIPE,
        start_new_session: bool = False,
        fresh: bool = False,
        **environ: str,
    ) -> Process:
        """Start it and leave it running; as leader of a process group if so asked.

        It is forked from a process that has used dbt before, unless it is `fresh`, is started by the command `prefix`,
        or needs a start of its own otherwise.
        """
        # What Python itself reads at its start, and coverage, need a start.
        needing = [name for name in (*self.environ, *environ) if name.startswith(("PYTHON", "LANG", "LC_"))]
        fresh = fresh or bool(needing) or "COVERAGE_RUN" in os.environ
        environ = self._environment(environ)
        if not (fresh or prefix or stderr != subprocess.PIPE):
            return ForkedProcess(arguments, self.cwd, environ, start_new_session=start_new_session)
        return subprocess.Popen(
            [*prefix, WRAPPER, *arguments],
            cwd=self.cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=start_new_session,
            # A shell that runs tests in its background has them, and all that they start, ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __call__(self, *arguments: str, **environ: str) -> Result:
        """Run it to its end."""
        process = self.start(*arguments, **environ)  # type: ignore[arg-type]
        stdout, stderr = process.communicate(timeout=_PATIENCE_SECONDS)
        return Result(process.wait(), stdout, stderr)

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "CI") if name in os.environ}
        covered = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return {**inherited, **covered, **self.environ, **environ}

    def read_in_place(self, whiteballoon: WhiteBalloon, url: str) -> None:
        """Copy WhiteBalloon's own tables to this database, and use it as WhiteBalloon's and as the warehouse."""
        whiteballoon.copy_to_postgres(url)
        self.environ = {"DATABASE_URL": url, "WB_SCHEMA": "wb", "PROFILE_SIGNAL_GLAZE": "1"}

    def succeed(self, *arguments: str, **environ: str) -> Result:
        """Run it to its end, which must be a good one."""
        result = self(*arguments, **environ)
        assert result.code == 0, result.stderr
        return result

    def snapshot(self, *arguments: str, **environ: str) -> dict[str, Any]:
        """Run a snapshot that must succeed, and return its run-log entry."""
        entry: dict[str, Any] = json.loads(self.succeed("snapshot", "--json", *arguments, **environ).stdout)
        return entry

    def export(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the lines of an export that must succeed."""
        return [json.loads(line) for line in self.succeed("export", *arguments).stdout.splitlines()]

    def log(self) -> list[dict[str, Any]]:
        """Return the run log."""
        text = (self.cwd / "storage" / "signal_profile_snapshot.log").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def whiteballoon(tmp_path: Path) -> WhiteBalloon:
    """An empty WhiteBalloon on SQLite, at its default place below the working directory."""
    return WhiteBalloon(tmp_path / "data")


@pytest.fixture
def make_database(server: Server) -> Callable[[], str]:
    """Make empty databases on the session's server and return their URLs."""
    return lambda: server.create_database(f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def parsed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt remembers of the project after a run, since parsing it again takes as long as the rest of a small run.

    The run leaves the database `awkward`, in which the awkward WhiteBalloon is published, as a template for others.
    """
    from tests.wrapper.rules.test_rows import awkward_whiteballoon

    folder = tmp_path_factory.mktemp("parsed")
    awkward_whiteballoon(WhiteBalloon(folder / "data"))
    publish(server, folder, "awkward")
    [remembered] = folder.glob("storage/dbt/*/snapshot/partial_parse.msgpack")
    return remembered


def publish(server: Server, folder: Path, name: str, parsed: Path | None = None) -> Wrapper:
    """Publish the WhiteBalloon in the folder to a new database of this name, for tests that only read.

    The database is built under the name that every test's warehouse has, since dbt parses again for another one.
    """
    if parsed is not None:
        remember_parse(folder, parsed)
    wrapper = Wrapper(folder, {"WAREHOUSE_URL": server.create_database("warehouse"), "PROFILE_SIGNAL_GLAZE": "on"})
    wrapper.snapshot("--all")
    wrapper.environ["WAREHOUSE_URL"] = server.rename_database("warehouse", name)
    return wrapper


def remember_parse(folder: Path, parsed: Path) -> None:
    """Have the first run in the folder, and the first `wrapper dbt`, find what dbt remembers after a run."""
    warehouse = folder / "storage" / parsed.relative_to(parsed.parents[3]).parents[1]
    for command in ("snapshot", "dbt"):
        (warehouse / command).mkdir(mode=0o700, parents=True)
        shutil.copy(parsed, warehouse / command)


@pytest.fixture
def wrapper(tmp_path: Path, server: Server, parsed: Path, request: pytest.FixtureRequest) -> Iterator[Wrapper]:
    """The wrapper, switched on, with an empty warehouse and nothing else set, as if it had run there before.

    The warehouse has the same name for every test, since dbt parses again for another one. Together with the fixture
    `awkward` it is not empty.
    """
    remember_parse(tmp_path, parsed)
    template = "template awkward" if "awkward" in request.fixturenames else ""
    with server.temporary_database("warehouse", template) as url:
        yield Wrapper(tmp_path, {"WAREHOUSE_URL": url, "PROFILE_SIGNAL_GLAZE": "on"})


@pytest.fixture
def awkward(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> WhiteBalloon:
    """The awkward WhiteBalloon, whose snapshots are published in the wrapper's warehouse already."""
    from tests.wrapper.rules.test_rows import awkward_whiteballoon

    awkward_whiteballoon(whiteballoon)
    return whiteballoon


@pytest.fixture
def warehouse(wrapper: Wrapper) -> Iterator[Connection]:
    """A connection of an analyst's to the wrapper's warehouse."""
    connection = psycopg2.connect(wrapper.environ["WAREHOUSE_URL"])
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def without_dbt(tmp_path: Path) -> dict[str, str]:
    """An environment in which a command that imports dbt fails."""
    package = tmp_path / "without_dbt" / "dbt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('dbt was imported')")
    return {"PYTHONPATH": str(package.parent)}


@pytest.fixture
def blocker(wrapper: Wrapper) -> Iterator[Connection]:
    """Another connection, whose transaction stays open and keeps its locks until it is rolled back."""
    connection = psycopg2.connect(wrapper.environ["WAREHOUSE_URL"])
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def example(server: Server, parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """The example WhiteBalloon, published; for tests that only read."""
    folder = tmp_path_factory.mktemp("example")
    make_example(folder / "data")
    return publish(server, folder, "example", parsed)


@pytest.fixture
def example_copy(example: Wrapper, server: Server) -> Iterator[Wrapper]:
    """The published example in a database of its own, for tests that change it, under the name of every warehouse."""
    with server.temporary_database("warehouse", "template example") as url:
        yield Wrapper(example.cwd, {**example.environ, "WAREHOUSE_URL": url})


@pytest.fixture(scope="session")
def hostile(server: Server, parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """A published group whose members wrote what they should not; for tests that only read."""
    folder = tmp_path_factory.mktemp("hostile")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1, 2, slug=HOSTILE_SLUG, name="G")
    body = f"see {HOSTILE_LINK} {LONG_LINK}\n\n[attachments: <b>.png]\n(Reactions: Jo 👩‍👩‍👧, Bo ❤️)"
    for _ in range(60):
        whiteballoon.comment(1, body, tags=[json.dumps(HOSTILE_LABELS), None, None])
    whiteballoon.comment(1, "(Reactions: Jo 🎉)")
    whiteballoon.comment(2, "hello")
    return publish(server, folder, "hostile", parsed)
