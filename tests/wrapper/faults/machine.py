"""A copy of this machine under its own systemd: what is written there is kept in memory and lost when it ends."""

import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# An overlay over all files here, with the devices that services need, becomes the root of a systemd in new namespaces.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in dev run; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
chmod 755 dev run
mkdir dev/pts dev/shm
chmod 1777 dev/shm
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
: > etc/machine-id
# The clone may be in /tmp, which systemd would empty.
mkdir -p etc/tmpfiles.d
: > etc/tmpfiles.d/tmp.conf
pivot_root . mnt
umount --lazy mnt
exec env -i container=other /lib/systemd/systemd --unit=multi-user.target --log-target=null --show-status=no
"""


@dataclasses.dataclass
class Machine:
    """A running machine."""

    pid: int

    def run(self, script: str, stdin: str = "") -> str:
        """Run a script in root's bash, which must succeed, and return what it wrote."""
        done = subprocess.run(
            [
                "nsenter",
                f"--target={self.pid}",
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
                "--cgroup",
                "--wdns=/root",
                "bash",
            ]
            + ["-c", f"set -euo pipefail\n{script}"],
            env={**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Without a terminal, psql asks for passwords on stdin.
            start_new_session=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout


@contextlib.contextmanager
def boot(folder: Path) -> Iterator[Machine]:
    """Boot a machine whose memory is mounted on the empty folder; skip the test if that is not possible."""
    if os.geteuid() != 0:
        pytest.skip("only root can boot a machine of its own")
    if not Path("/lib/systemd/systemd").exists():
        pytest.skip("systemd is not installed")
    namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup"]
    unshare = subprocess.Popen(["unshare", *namespaces, "--fork", "--kill-child", "sh", "-c", BOOT, "sh", str(folder)])
    try:
        yield Machine(_booted(unshare))
    finally:
        unshare.kill()
        unshare.wait()


def _booted(unshare: "subprocess.Popen[bytes]") -> int:
    """Wait until the systemd that unshare started is up, and return its process id."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert unshare.poll() is None, "the machine could not be made"
        with contextlib.suppress(ValueError, AssertionError):
            machine = Machine(int(children.read_text()))
            # Some of this machine's other services may not start in the copy.
            machine.run("systemctl is-system-running --wait | grep -E 'running|degraded'")
            return machine.pid
        time.sleep(0.5)
    pytest.fail("systemd did not come up")
