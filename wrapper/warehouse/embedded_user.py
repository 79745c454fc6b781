"""As whom the programs of Postgres run, since they refuse to run as root."""

import contextlib
import functools
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from wrapper.errors import ConfigurationError


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


def server_identity(data_dir: Path, programs: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """How to run Postgres's programs, which refuse uid 0: a command prefix and arguments for subprocess."""
    if os.geteuid() != 0:
        return (), {}
    if data_dir.exists() and (owner := data_dir.stat().st_uid):
        return (), _as_user(owner)
    if _namespaces_allowed():
        return _user_namespace(), {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError, OSError, subprocess.SubprocessError):
            user = pwd.getpwnam(name).pw_uid
            # Both must be reachable for that user; opening a directory to the world is not ours to do.
            for command in (
                [str(programs / "postgres"), "--version"],
                ["test", "-x", str(data_dir.parent)],
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
