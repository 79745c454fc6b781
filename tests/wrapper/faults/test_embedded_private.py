"""Other users cannot reach the embedded Postgres, and it changes no mode and no user of the machine."""

import contextlib
import errno
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.warehouse.embedded import EmbeddedServer, bundled_programs

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user, so connecting was not tried")


@contextlib.contextmanager
def make_open_folder() -> Iterator[Path]:
    """Make a folder that every user may enter, unlike pytest's folders."""
    # Not below TMPDIR, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with make_open_folder() as folder:
        yield folder


@pytest.fixture(
    scope="module", params=["storage", "long" * 25 + "/storage"], ids=["normal path", "too long for a socket"]
)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server below an existing STORAGE_DIR that other users may enter."""
    with make_open_folder() as folder:
        storage = folder / request.param
        storage.mkdir(parents=True)
        server = EmbeddedServer(storage / "postgres")
        with server.guard():
            server.start(on_demand=False)
            yield server
            server.stop()


def as_nobody(action: Callable[[], object]) -> int:
    """Try something as another user, and return 0, the errno it ended with, or 255."""
    nobody = pwd.getpwnam("nobody")
    # A fork without an exec, since other users cannot run a Python that is installed below root's home.
    child = os.fork()
    if child == 0:
        outcome = 255
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            action()
            outcome = 0
        except OSError as error:
            outcome = error.errno or 255
        finally:
            # However the child ends, it must not go on as a second pytest.
            os._exit(outcome)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@as_root
def test_embedded_server_refuses_its_socket_and_data_to_another_user(
    running: EmbeddedServer, open_folder: Path
) -> None:
    # The other user can connect to an open socket, so a refusal below is the server's doing.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(open_folder / "s"))
        (open_folder / "s").chmod(0o777)
        listener.listen()
        if as_nobody(lambda: connect(open_folder / "s")):
            pytest.skip("another user cannot enter temporary folders here, so connecting was not tried")
    server_socket = running.socket_dir() / ".s.PGSQL.5432"
    connect(server_socket)
    assert as_nobody(lambda: connect(server_socket)) == errno.EACCES
    assert as_nobody(lambda: os.scandir(running.data_dir)) == errno.EACCES


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux says in /proc what a process listens on")
def test_embedded_server_listens_on_its_private_socket_and_on_no_port(running: EmbeddedServer) -> None:
    postmaster = int((running.data_dir / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    held = set()
    for pid in (str(postmaster), *children):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                held.add(target.removeprefix("socket:[").removesuffix("]"))
    unix = {line.split()[6]: line.split()[7:] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    # The socket is bound in the working directory, which is the data directory.
    assert Path(f"/proc/{postmaster}/cwd").samefile(running.data_dir)
    assert ["./.s.PGSQL.5432"] in [unix.get(inode) for inode in held]
    networked = {
        line.split()[9]
        for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        if Path("/proc/net", name).exists()
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    }
    assert held & networked == set()


def test_load_on_the_embedded_server_widens_no_mode_and_adds_no_user(open_folder: Path) -> None:
    storage = open_folder / "a" / "storage"
    storage.parent.mkdir(mode=0o711)
    looked_at = [*storage.parents, Path("/etc/passwd"), Path("/etc/group"), bundled_programs()]

    def state() -> list[tuple[int, int, int]]:
        return [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in looked_at]

    users = [path.read_bytes() for path in map(Path, ("/etc/passwd", "/etc/group"))]
    before = state()
    wrapper = Wrapper(open_folder, {"STORAGE_DIR": str(storage)})
    WhiteBalloon(open_folder / "data")
    wrapper.succeed("load")
    assert state() == before
    assert [path.read_bytes() for path in map(Path, ("/etc/passwd", "/etc/group"))] == users
    assert storage.stat().st_mode & 0o777 == 0o700


@as_root
def test_storage_without_a_namespace_for_root_can_be_entered_but_not_read(open_folder: Path) -> None:
    """Other users can then pass through STORAGE_DIR to a name that they know, but cannot open what is there."""
    programs = open_folder / "bin"
    programs.mkdir()
    (programs / "test").symlink_to(shutil.which("test") or "")
    if as_nobody(lambda: (bundled_programs() / "postgres").stat()):
        pytest.skip("nobody cannot run the embedded Postgres's programs where this clone is")
    WhiteBalloon(open_folder / "data")
    wrapper = Wrapper(open_folder, {"STORAGE_DIR": str(open_folder / "storage"), "PATH": str(programs)})
    wrapper.succeed("load")
    storage = open_folder / "storage"
    assert storage.stat().st_mode & 0o777 == 0o711
    assert {path.name: path.stat().st_mode & 0o077 for path in storage.iterdir()} == {
        "postgres": 0,
        "postgres.lock": 0,
    }
    assert (storage / "postgres").stat().st_uid != 0
