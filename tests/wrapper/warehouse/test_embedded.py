"""`wrapper db` and every command without WAREHOUSE_URL use the embedded Postgres."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import WRAPPER, Wrapper, query, wait_until
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.errors import ConfigurationError
from wrapper.warehouse import embedded_socket
from wrapper.warehouse.embedded import EmbeddedServer


def postmaster(server: EmbeddedServer) -> int:
    """Return the process id in the server's pid file."""
    return int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Wrapper]:
    """The wrapper with only PROFILE_SIGNAL_GLAZE set, below a directory that only its owner can enter."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    cwd = home / "it's a, clone"
    cwd.mkdir()
    wrapper = Wrapper(cwd, {"PROFILE_SIGNAL_GLAZE": "true"})
    yield wrapper
    wrapper("db", "stop")


def test_embedded_server_is_started_and_stopped_by_commands_and_kept_private(alone: Wrapper) -> None:
    whiteballoon = WhiteBalloon(alone.cwd / "data")
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    assert alone.succeed("db", "status").stdout == "stopped\n"
    assert alone.snapshot("--all")["generated"] == 1
    assert alone.succeed("db", "status").stdout == "stopped\n"
    assert len(alone.succeed("export").stdout.splitlines()) == 1

    # Modes are as they were, and nobody else can reach the data or the socket.
    assert (alone.cwd.parent.stat().st_mode & 0o777, alone.cwd.stat().st_mode & 0o777) == (0o700, 0o755)
    assert (alone.cwd / "storage" / "postgres").stat().st_mode & 0o777 == 0o700
    private = [path for path in (alone.cwd / "storage" / "dbt").rglob("*") if path.is_file()]
    assert private
    assert {path.stat().st_mode & 0o077 for path in private} == {0}


def test_embedded_server_keeps_no_dead_rows_although_it_stops_before_autovacuum_begins(alone: Wrapper) -> None:
    whiteballoon = WhiteBalloon(alone.cwd / "data")
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    whiteballoon.execute("insert into user_profile_highlights values (1, 'bio', 'g', 'x', null, null, 0, 0)")
    dead = """
        select sum(n_dead_tup) from pg_stat_user_tables
        where relname in ('signal_profile_snapshots', 'signal_profile_highlights')
    """
    alone.snapshot("--all")
    alone.snapshot("--all", "--rebuild")
    assert alone.succeed("db", "psql", "-Atc", dead).stdout == "0\n"
    whiteballoon.execute("update user_profile_highlights set is_stale = 1")
    alone.succeed("freshness")
    assert alone.succeed("db", "psql", "-Atc", dead).stdout == "0\n"


@pytest.mark.parametrize("command", [["show", "1"], ["report", "--output", "r.html"], ["export"], ["freshness"]])
def test_reading_commands_before_the_first_run_create_no_server(alone: Wrapper, command: list[str]) -> None:
    looked = alone(*command)
    assert (looked.code, looked.stdout) == (2, "")
    assert looked.stderr == "wrapper: nothing is published yet: run wrapper snapshot --all first\n"
    assert list(alone.cwd.iterdir()) == []
    (alone.cwd / "storage").touch()
    looked = alone(*command)
    assert (looked.code, looked.stderr) == (
        2,
        f"wrapper: STORAGE_DIR {alone.cwd}/storage cannot be written: File exists\n",
    )


def test_embedded_server_after_db_start_can_be_reached_until_db_stop(alone: Wrapper) -> None:
    url = alone.succeed("db", "start").stdout.strip()
    assert alone.succeed("db", "url").stdout.strip() == url
    assert alone.succeed("db", "start").stdout.strip() == url
    assert alone.succeed("db", "status").stdout == "running\n"
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("show listen_addresses")
        assert cursor.fetchall() == [("",)]
        cursor.execute(
            "select datlocprovider, pg_encoding_to_char(encoding) from pg_database where datname = 'postgres'"
        )
        assert cursor.fetchall() == [("b", "UTF8")]
    connection.close()
    # A command does not stop a server that it did not start.
    WhiteBalloon(alone.cwd / "data")
    alone.succeed("load")
    assert alone.succeed("db", "status").stdout == "running\n"
    alone.succeed("db", "stop")
    assert alone.succeed("db", "status").stdout == "stopped\n"
    alone.succeed("db", "stop")


@pytest.mark.parametrize("name", ["a, b", 'q"$HOME`id`\\'])
def test_embedded_server_starts_with_odd_storage_paths_and_inherited_variables(tmp_path: Path, name: str) -> None:
    alone = Wrapper(tmp_path, {"STORAGE_DIR": name, "PGPORT": "6000", "PGDATA": "/nonexistent"})
    WhiteBalloon(tmp_path / "data")
    url = alone.succeed("db", "start").stdout.strip()
    try:
        psycopg2.connect(url).close()
        alone.succeed("load")
        socket_dir = EmbeddedServer(tmp_path / name / "postgres").socket_dir()
    finally:
        alone.succeed("db", "stop")
    assert not list(socket_dir.glob(".s.*"))


def test_embedded_server_left_by_a_killed_run_is_stopped_by_the_next_command(alone: Wrapper) -> None:
    whiteballoon = WhiteBalloon(alone.cwd / "data")
    whiteballoon.execute("begin exclusive")
    process = alone.start("load")
    # The load waits for WhiteBalloon now, with its connection open.
    refusal = "wrapper: a run is using the embedded Postgres: wait for its end, then stop it\n"
    wait_until(lambda: alone("db", "stop").stderr == refusal)
    assert alone("db", "stop").code == 2
    process.kill()
    process.communicate()
    assert alone.succeed("db", "status").stdout == "running\n"
    whiteballoon.execute("rollback")
    wait_until(lambda: alone("load").code == 0)
    assert alone.succeed("db", "status").stdout == "stopped\n"


def test_socket_path_that_is_too_long_is_reached_by_a_link_that_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = EmbeddedServer(tmp_path / ("long" * 25) / "postgres")
    with server.guard():
        server.start(on_demand=False)
    try:
        url, link = server.url(), server.socket_dir()
        assert len(str(link)) < 60
        assert link.readlink() == server.data_dir
        assert link.parent.stat().st_mode & 0o777 == 0o700
        psycopg2.connect(url).close()
        os.kill(postmaster(server), signal.SIGKILL)
        wait_until(lambda: not server.is_running())
        server.start(on_demand=False)
        # dbt keeps a target directory for each host that it connects to.
        assert server.url() == url
        psycopg2.connect(url).close()
    finally:
        server.stop()
    assert not link.is_symlink()


def test_socket_link_is_never_put_into_a_directory_that_others_can_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    name = f"signal-profiles-{os.geteuid()}"
    (first / name).mkdir(parents=True)
    (first / name).chmod(0o755)
    second.mkdir()
    (second / name).symlink_to(tmp_path)
    server = EmbeddedServer(tmp_path / ("long" * 25) / "postgres")
    monkeypatch.setattr(embedded_socket, "_LINK_PLACES", (first, second, third))
    with pytest.raises(ConfigurationError) as refused:
        server.start(on_demand=False)
    assert str(refused.value) == (
        f"the path {server.data_dir} is too long for a Unix socket, and no short link to it can be made "
        f"({first / name}: somebody else's, or open to others: remove it; "
        f"{second / name}: somebody else's, or open to others: remove it; {third / name}: No such file or directory): "
        "set STORAGE_DIR to a shorter or plainer path, or set WAREHOUSE_URL"
    )
    assert not server.data_dir.exists()
    assert [*(first / name).iterdir(), *tmp_path.glob("[0-9a-f]" * 16)] == []
    third.mkdir()
    assert server.socket_dir().parent == third / name


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only /proc shows what a process is")
def test_stale_pid_file_that_names_another_program_is_not_a_running_server(alone: Wrapper, server: Server) -> None:
    own = EmbeddedServer(alone.cwd / "storage" / "postgres")
    sleep = subprocess.Popen(["sleep", "600"])
    try:
        for stranger in (sleep.pid, postmaster(server.embedded)):
            psycopg2.connect(alone.succeed("db", "start").stdout.strip()).close()
            killed = postmaster(own)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: not own.is_running())
            for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                file = own.data_dir / name
                file.write_text(file.read_text().replace(str(killed), str(stranger)))
            assert alone.succeed("db", "status").stdout == "stopped\n"
            alone.succeed("db", "stop")
        psycopg2.connect(alone.succeed("db", "start").stdout.strip()).close()
        assert sleep.poll() is None
        server.execute("select 1")
    finally:
        sleep.kill()
        sleep.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a namespace of processes")
def test_embedded_server_of_another_container_is_used_but_not_stopped(alone: Wrapper) -> None:
    """Two containers share the files, as on a volume, but process ids of one mean nothing in the other."""
    WhiteBalloon(alone.cwd / "data")
    script = f"mount -t proc proc /proc && {WRAPPER} db start && cat"
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]
    container = subprocess.Popen(namespaces, cwd=alone.cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert container.stdout is not None
    try:
        assert container.stdout.readline().startswith("postgresql://")
        assert alone.succeed("db", "status").stdout == "running\n"
        alone.succeed("load")
        stopped = alone("db", "stop")
        assert (stopped.code, stopped.stderr) == (
            2,
            "wrapper: the embedded Postgres was started by another container: stop it there\n",
        )
    finally:
        container.communicate()
    wait_until(lambda: alone.succeed("db", "status").stdout == "stopped\n")


def test_embedded_server_that_does_not_start_is_reported_in_one_line(alone: Wrapper) -> None:
    alone.succeed("db", "start")
    alone.succeed("db", "stop")
    (alone.cwd / "storage" / "postgres" / "PG_VERSION").write_text("9.6\n")
    result = alone("db", "start")
    log = alone.cwd / "storage" / "postgres" / "server.log"
    assert result.code == 2
    assert result.stderr == f"wrapper: the embedded Postgres does not start: see {log}, or set WAREHOUSE_URL\n"


def test_setup_that_was_left_half_done_is_deleted_by_the_next_start(alone: Wrapper) -> None:
    leftover = alone.cwd / "storage" / "postgres.new"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("half written")
    alone.succeed("db", "start")
    assert not leftover.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_namespaces_gets_one_line_that_names_warehouse_url(alone: Wrapper) -> None:
    """No program called unshare is on the path, and no other user can enter the directory."""
    result = alone("db", "start", PATH="/nonexistent")
    assert result.code == 2
    assert result.stderr == (
        "wrapper: the embedded Postgres cannot run as root here, and no other user can reach its files: "
        "run as another user, or set WAREHOUSE_URL to a Postgres\n"
    )
    assert alone.cwd.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_db_start_as_root_on_a_system_without_other_users_succeeds(alone: Wrapper) -> None:
    """In a container, the list of users may end with nobody."""
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(("root:", "nobody:"))]
    (alone.cwd / "passwd").write_text("\n".join([*users, ""]))
    system = ["unshare", "--mount", "sh", "-c", 'mount --bind passwd /etc/passwd && exec "$@"', "sh"]
    process = alone.start("db", "start", prefix=system)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    alone.succeed("db", "stop")


def test_db_psql_passes_its_arguments_and_uses_the_published_schema(alone: Wrapper) -> None:
    refused = alone("db", "psql")
    assert (refused.code, refused.stderr) == (
        2,
        "wrapper: nothing is published yet: run wrapper snapshot --all first\n",
    )
    alone.succeed("db", "start")
    alone.succeed("db", "stop")
    asked = ("db", "psql", "-X", "--tuples-only", "--no-align", "--command")
    shown = alone.succeed(*asked, "show search_path")
    assert (shown.stdout, shown.stderr) == ("signal_profiles,public\n", "")
    assert alone(*asked, "select 1/0").code == 1
    assert alone.succeed("db", "status").stdout == "stopped\n"
    elsewhere = alone("db", "psql", WAREHOUSE_URL="postgresql://h/d")
    assert (elsewhere.code, elsewhere.stderr) == (
        2,
        "wrapper: the warehouse is not the embedded Postgres: run psql with its own URL\n",
    )


def test_ctrl_c_in_db_psql_cancels_the_statement_and_the_server_stops_as_usual(alone: Wrapper) -> None:
    alone.succeed("db", "start")
    alone.succeed("db", "stop")
    process = alone.start("db", "psql", "-X", "--command", "select pg_sleep(60)", start_new_session=True, fresh=True)
    server = EmbeddedServer(alone.cwd / "storage" / "postgres")
    wait_until(server.is_running)
    # The server is started under this lock.
    with server.guard():
        url = server.url()
    with contextlib.closing(psycopg2.connect(url)) as connection:
        # Within a transaction, pg_stat_activity would stay as it was first read.
        connection.autocommit = True
        wait_until(lambda: bool(query(connection, "select 1 from pg_stat_activity where wait_event = 'PgSleep'")))
        session = Path(f"/proc/{connection.info.backend_pid}")
    # The server is stopped only if nobody is connected.
    wait_until(lambda: not session.exists())
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "canceling statement due to user request" in stderr
    assert process.returncode == 1
    assert alone.succeed("db", "status").stdout == "stopped\n"


@pytest.mark.parametrize("arguments", [["--help"], ["build", "--help"], ["--version"], []])
def test_dbt_help_and_version_start_no_server(alone: Wrapper, arguments: list[str]) -> None:
    helped = alone.succeed("dbt", *arguments)
    assert "Usage: " in helped.stdout or "Core:" in helped.stdout
    assert not (alone.cwd / "storage" / "postgres").exists()
