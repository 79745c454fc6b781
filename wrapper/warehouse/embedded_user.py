"""The user that runs Postgres's programs, which refuse to run as root."""

import contextlib
import functools
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from wrapper.errors import ConfigurationError


def make_storage_dir(storage_dir: Path) -> None:
    """Create the directory if it is missing; an existing one keeps its mode.

    Only this user can enter it, except where Postgres has to run as another user, who must be able to pass through.
    """
    if storage_dir.is_dir():
        return
    before = os.umask(0o066 if os.geteuid() == 0 and not _namespaces_allowed() else 0o077)
    try:
        storage_dir.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)


def server_identity(data_dir: Path, programs: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return a command prefix and arguments for subprocess that run a program of Postgres as a user other than root.

    Raises ConfigurationError if no such user can reach the files.
    """
    if os.geteuid() != 0:
        return (), {}
    if data_dir.exists() and (owner := data_dir.stat().st_uid):
        return (), _as_user(owner)
    if _namespaces_allowed():
        return _user_namespace(), {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError, OSError, subprocess.SubprocessError):
            user = pwd.getpwnam(name).pw_uid
            # That user must be able to reach both; this project never widens the mode of a directory.
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
    # The owner of a mounted volume may be missing from this system's list of users.
    with contextlib.suppress(KeyError):
        return {"user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}
    return {"user": user, "group": user, "extra_groups": []}


def _user_namespace() -> tuple[str, ...]:
    # initdb looks up its user's name, and `nobody` exists on every system.
    nobody = pwd.getpwnam("nobody")
    return ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")


@functools.cache
def _namespaces_allowed() -> bool:
    try:
        return subprocess.run([*_user_namespace(), "true"], capture_output=True, check=False).returncode == 0
    except (KeyError, OSError):
        return False
