"""A run's metrics reach a real socket, and a host that never answers delays a run by a second at most."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wrapper.nightly.metrics import send
from wrapper.nightly.run_log import Entry
from wrapper.settings import read_settings

_SLOW = """
from tests.wrapper.nightly.test_metrics import finished, seconds_to_send
assert 0.9 < seconds_to_send("slow.example", finished()) < 2
"""


def finished(status: str = "success", dry_run: bool = False) -> Entry:
    """Return the run-log entry of a run that has ended."""
    return Entry(
        timestamp="2026-01-31T04:00:00+00:00", run_id="1", dry_run=dry_run, status=status, group_slugs=None,
        user_ids=None, output_dir=None, version="0", generated=7, changed=2, duration_seconds=1.5,
    )  # fmt: skip


def seconds_to_send(host: str, entry: Entry, port: int = 9) -> float:
    """Send a run's metrics, and return how many seconds that took."""
    settings = read_settings({"STATSD_HOST": host, "STATSD_PORT": str(port)})
    started = time.monotonic()
    send(settings, entry, stale_highlights=3)
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_metrics_after_a_success_and_a_failure_reach_the_host(family: int, address: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        try:
            receiver.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine does not have {address}")
        receiver.settimeout(5)
        port = receiver.getsockname()[1]
        for status, dry_run in (("success", True), ("refused", False), ("locked", False), ("disabled", False)):
            seconds_to_send(address, finished(status, dry_run), port)
        for status in ("failed", "success"):
            seconds_to_send(address, finished(status), port)
        received = [receiver.recv(1000).decode().splitlines() for _ in range(2)]
    common = ["signal_glaze.highlights_stale_now:3|g", "signal_glaze.snapshot_duration:1500.000000|ms"]
    assert received == [
        ["signal_glaze.snapshot_failures:1|c", *common],
        ["signal_glaze.snapshots_generated:7|c", "signal_glaze.snapshots_changed:2|c", *common],
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "no such host.invalid", "a" * 300, "\udcff.example"])
def test_metrics_to_a_host_that_does_not_exist_are_dropped(host: str) -> None:
    assert seconds_to_send(host, finished()) < 2


def test_metrics_to_a_host_whose_name_server_never_answers_cost_one_second(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        try:
            name_server.bind(("127.0.0.53", 53))
        except OSError:
            pytest.skip("only root can be the name server of a test")
        if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
            pytest.skip("a file cannot be mounted here")
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        mount = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount, str(tmp_path / "resolv.conf"), sys.executable, "-c", _SLOW],
            cwd=Path(__file__).parents[3],
            check=True,
        )
        # The name server was asked.
        name_server.settimeout(1)
        assert b"slow" in name_server.recv(1000)
