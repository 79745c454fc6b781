"""Small disks, each in a mount namespace of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.wrapper.conftest import Result, Wrapper

_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


class SmallDisk:
    """A disk of some megabytes at a folder that only this one's commands see."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(exist_ok=True)
        mount = f'mount -t tmpfs -o size={megabytes}m none "$0" && echo mounted && exec sleep 600'
        self.holder = subprocess.Popen(
            [*_NAMESPACE, "sh", "-c", mount, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != "mounted\n":
            pytest.skip("a file system cannot be mounted here: run as root, or where user namespaces are allowed")
        self.folder = folder
        # The same folder from outside.
        self.path = Path(f"/proc/{self.holder.pid}/root{folder}")

    def run(self, wrapper: Wrapper, *arguments: str) -> Result:
        """Run the wrapper where it sees the disk."""
        # Its working directory is to be looked up in there.
        process = wrapper.start(
            *arguments, prefix=[*self._enter(), "sh", "-c", 'cd "$0" && exec "$@"', str(wrapper.cwd)]
        )
        stdout, stderr = process.communicate(timeout=180)
        return Result(process.wait(), stdout, stderr)

    def _enter(self) -> list[str]:
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.holder.pid), "--mount", *users]

    def close(self) -> None:
        """Let it go, with the process that holds its namespace."""
        self.holder.kill()
        self.holder.communicate()

    def make_read_only(self) -> None:
        """Let nothing be written any more."""
        # Of the mount alone ("bind"): in a user namespace tmpfs refuses the options that a whole remount repeats to it.
        subprocess.run([*self._enter(), "mount", "-o", "remount,bind,ro", self.folder], check=True)

    def fill(self) -> None:
        """Leave no room."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            size = 2**20
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def clear(self) -> None:
        """Make room again."""
        (self.path / "filler").unlink()
