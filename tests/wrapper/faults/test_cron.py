"""The cron line of deploy/, run by a real cron with cron's own environment; only its minute is another one."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.wrapper.test_deploy import DEPLOY, need
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.project import PROJECT_DIR

# A machine of its own, as far as files go: the clone and WhiteBalloon stand where the line expects them.
MACHINE = """
set -e
mount -t tmpfs none /opt
mount -t tmpfs none /srv
mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /var/spool/cron
mount -t tmpfs none /run
mkdir /opt/signal-profile-snapshots /srv/whiteballoon /var/spool/cron/crontabs
mount --bind "$1" /opt/signal-profile-snapshots
mount --bind "$2" /srv/whiteballoon
mount --bind "$2/passwd" /etc/passwd
cp "$2/crontab" /etc/cron.d/signal-profile-snapshots
chmod 644 /etc/cron.d/signal-profile-snapshots
exec "$3" -f
"""


@pytest.mark.full
def test_the_line_as_written_makes_a_night(tmp_path: Path, whiteballoon: WhiteBalloon) -> None:
    if os.geteuid() != 0:
        pytest.skip("cron runs as root alone")
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    text = (DEPLOY / "cron" / "signal-profile-snapshots").read_text()
    job, count = re.subn(r"^15 3 ", "* * ", text, flags=re.MULTILINE)
    assert count == 1
    (tmp_path / "crontab").write_text(job)
    # The clone may be its owner's alone, so WhiteBalloon's user is another name for that one.
    user = "whiteballoon:*:0:0::/srv/whiteballoon:/bin/sh\n"
    (tmp_path / "passwd").write_text(Path("/etc/passwd").read_text() + user)
    command = ["unshare", "--mount", "sh", "-c", MACHINE, "sh", str(PROJECT_DIR), str(tmp_path), need("cron")]
    cron = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "storage" / "signal_profile_snapshot.log"
    try:
        deadline = time.monotonic() + 180
        while not (log.exists() and log.read_text()):
            assert cron.poll() is None, "cron ended"
            assert time.monotonic() < deadline, "cron ran nothing"
            time.sleep(1)
    finally:
        cron.terminate()
        cron.wait()
    entry = json.loads(log.read_text().splitlines()[0])
    assert (entry["status"], entry["generated"], entry["error"]) == ("success", 1, None)
