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
# libpq reads a comma as the end of a host name.
_PLAIN_DIRECTORY = re.compile(r"[A-Za-z0-9/_.-]+")
# Not TMPDIR, which may be long too. /run/user is second because it is removed at logout.
_LINK_PLACES = ("/tmp", f"/run/user/{os.geteuid()}")  # noqa: S108 - what is in there is checked


def socket_dir(data_dir: Path) -> Path:
    """Return the path through which libpq reaches the socket: the data directory, or a symbolic link to it.

    A link is needed if the path of the data directory is too long for a socket or contains characters that libpq treats
    specially. The link's path is stable, and only this user can enter its directory.
    Raises ConfigurationError if no such link can be made.
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
