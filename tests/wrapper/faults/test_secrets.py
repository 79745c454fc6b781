"""A password in a URL is in no file, output or command line, at any log level."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import Result, Wrapper, query
from tests.wrapper.servers import Server, start_server
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.errors import ConfigurationError
from wrapper.settings import read_settings

# In the URL its other characters are percent-encoded.
MARK = "Tr0ub4dor"
PASSWORD, WRITTEN = f"{MARK}&/3", f"{MARK}%26%2F3"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for passwords."""
    with start_server("18", tmp_path_factory.mktemp("locked")) as server:
        with contextlib.closing(psycopg2.connect(server.url("postgres"))) as admin:
            admin.autocommit = True
            query(admin, f"create role locked login password '{PASSWORD}'")
            query(admin, "create database wb owner locked")
            hba = server.embedded.data_dir / "pg_hba.conf"
            hba.write_text("local all locked scram-sha-256\n" + hba.read_text())
            query(admin, "select pg_reload_conf()")
        yield server


@dataclasses.dataclass
class Watched:
    """The wrapper, with the command lines that its processes had."""

    wrapper: Wrapper
    command_lines: set[str] = dataclasses.field(default_factory=set)

    def __call__(self, *arguments: str, url: str | None = None) -> Result:
        """Run it to its end, with another DATABASE_URL if one is given, and watch all processes meanwhile."""
        process = self.wrapper.start(*arguments, fresh=True, DATABASE_URL=url or self.wrapper.environ["DATABASE_URL"])
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,))
        watcher.start()
        stdout, stderr = process.communicate(timeout=180)
        ended.set()
        watcher.join()
        return Result(process.wait(), stdout, stderr)

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                # The process may have ended since.
                with contextlib.suppress(OSError):
                    self.command_lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))


def leaks(result: Result, watched: Watched) -> list[str]:
    """Return where the password is."""
    places = {"stdout": result.stdout, "stderr": result.stderr, **{line: line for line in watched.command_lines}}
    for path in watched.wrapper.cwd.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes().decode(errors="replace")
    return [place for place, text in places.items() if MARK in text]


@pytest.fixture(scope="module")
def watched(locked: Server, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("secrets")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello", tags=("tools", None, None))
    whiteballoon.copy_to_postgres(locked.url("wb"))
    with contextlib.closing(psycopg2.connect(locked.url("wb"))) as admin, admin:
        query(admin, "grant usage on schema wb to locked")
        query(admin, "grant select on all tables in schema wb to locked")
    url = locked.url("wb").replace("postgres@", f"locked:{WRITTEN}@")
    return Watched(Wrapper(folder, {"DATABASE_URL": url, "WB_SCHEMA": "wb", "PROFILE_SIGNAL_GLAZE": "1"}))


def test_password_of_a_successful_run_is_in_no_output_file_or_command_line(watched: Watched) -> None:
    result = watched("snapshot", "--all", "--json", "--output-dir", "out")
    assert result.code == 0, result.stderr
    assert leaks(result, watched) == []
    assert any("snapshot --all --json" in line for line in watched.command_lines)
    # dbt's own debugging, on the terminal and in a file.
    result = watched("dbt", "--debug", "--log-level-file", "debug", "build", "--select", "attachment_kinds")
    assert result.code == 0, result.stdout + result.stderr
    assert "On seed" in result.stdout
    assert [path for path in watched.wrapper.cwd.rglob("dbt.log") if path.stat().st_size]
    assert leaks(result, watched) == []


@pytest.mark.parametrize("arguments", [("snapshot", "--all"), ("dbt", "--log-level", "debug", "debug")])
def test_password_that_the_server_refuses_is_in_no_output_file_or_command_line(
    watched: Watched, arguments: tuple[str, ...]
) -> None:
    url = watched.wrapper.environ["DATABASE_URL"].replace(WRITTEN, f"{WRITTEN}wrong")
    result = watched(*arguments, url=url)
    assert result.code == 2
    assert 'password authentication failed for user "locked"' in result.stderr
    assert leaks(result, watched) == []


@pytest.mark.parametrize("setting", ["DATABASE_URL", "WAREHOUSE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:a@Tr0ub4dor?b@h/d",
        "postgresql://u:a@127.0.0.1/Tr0ub4dor@h/d",
        "postgresql://u:a@h/d?Tr0ub4dor=b@h/d",
        "postgresql://u:Tr0ub4dor",
        "postgresql://u:Tr0ub4dor%00@h/d",
        "postgresql://u:Tr0ub4dor\udcff@h/d",
        "postgresql:/u:Tr0ub4dor@h/d",
        "u:Tr0ub4dor@h/d",
        "postgresql://u@h:Tr0ub4dor/d",
        "postgresql://h/d?password=Tr0ub4dor&password=b",
        "mysql://u:Tr0ub4dor@h/d",
    ],
)
def test_url_that_cannot_be_used_is_refused_without_its_password(setting: str, url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings({"DATABASE_URL": "sqlite:///app.db", setting: url})
    assert str(raised.value).startswith(setting)
    assert MARK not in str(raised.value)


def test_env_file_that_is_malformed_is_refused_without_its_password(watched: Watched) -> None:
    """If the file is malformed, nothing of it is quoted."""
    env = watched.wrapper.cwd / ".env"
    env.write_text("STATSD_PORT=1\nWAREHOUSE_URL='postgresql://u:Tr0ub4dor@h/d\n")
    try:
        result = watched("snapshot", "--all")
    finally:
        env.unlink()
    assert result.code == 2
    assert leaks(result, watched) == []
