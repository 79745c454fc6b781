"""Where the embedded Postgres is reached: in its data directory, by a short link if that path is too long."""

import contextlib
import errno
import hashlib
import os
import re
import stat
from pathlib import Path

from wrapper.errors import ConfigurationError

SOCKET = ".s.PGSQL.5432"
# sockaddr_un holds 104 bytes on macOS and 108 on Linux, with SOCKET and a NUL at the end.
_LONGEST_DIRECTORY = 88
# libpq reads a comma as the end of a host.
_PLAIN_DIRECTORY = re.compile(r"[A-Za-z0-9/_.-]+")
# Not TMPDIR, which may be long itself. /run/user comes second because it goes away at logout.
_LINK_PLACES = ("/tmp", f"/run/user/{os.geteuid()}")  # noqa: S108 - what is in there is checked


def socket_dir(data_dir: Path) -> Path:
    """Return the path by which libpq reaches the socket's directory: the data directory's, or that of a link to it.

    A link is made where the path of the data directory is too long for a socket or has characters that libpq reads
    as more than a name. Its own path is always the same, and in a directory that only this user can enter.
    Raises ConfigurationError where there is no such directory.
    """
    path = str(data_dir)
    fits = len(path) <= _LONGEST_DIRECTORY
    if fits and _PLAIN_DIRECTORY.fullmatch(path):
        return data_dir
    reasons = []
    for place in _LINK_PLACES:
        folder = Path(place, f"signal-profiles-{os.geteuid()}")
        link = folder / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        try:
            _make_private(folder)
            with contextlib.suppress(FileExistsError):
                link.symlink_to(data_dir)
            return link
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror}")
    problem = "is too long for a Unix socket" if not fits else "has characters that libpq cannot take"
    raise ConfigurationError(
        f"the path {path} {problem}, and no short link to it can be made ({'; '.join(reasons)}): "
        "set STORAGE_DIR to a shorter or plainer path, or set WAREHOUSE_URL"
    )


def _make_private(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "somebody else's, or open to others: remove it")
