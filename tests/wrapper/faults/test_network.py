"""A run sends nothing except to StatsD: it runs without a network, and each address that it asks for is recorded."""

import dataclasses
import functools
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.wrapper.conftest import WRAPPER
from tests.wrapper.whiteballoon import WhiteBalloon

_STATSD = ("127.0.0.1", 18125)
# Root can make a network namespace directly; other users need a user namespace for it.
_NO_NETWORK = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net"]
_HOOK = """
import json, os, sys
def write_down(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}:
        address = arguments[:2] if event == "socket.getaddrinfo" else arguments[-1]
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write(json.dumps([event, address], default=repr) + "\\n")
sys.addaudithook(write_down)
"""


@dataclasses.dataclass
class Run:
    """A run that was watched."""

    code: int
    stderr: str
    asked_by_python: list[list[object]]
    system_calls: str


@functools.cache
def without_network() -> list[str]:
    works = shutil.which("unshare") and subprocess.run([*_NO_NETWORK, "true"], check=False).returncode == 0
    return _NO_NETWORK if works else []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`snapshot --all` on the embedded server, with dbt's tracking switched on in the environment."""
    folder = tmp_path_factory.mktemp("watched")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1)
    whiteballoon.comment(1, "https://example.org/", tags=("tools", None, None))
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(_HOOK)
    log, calls = folder / "network.log", folder / "strace.log"
    tracer = (
        ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=network", "-o", str(calls)]
        if shutil.which("strace")
        else []
    )
    done = subprocess.run(
        [*tracer, *without_network(), WRAPPER, "snapshot", "--all"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(folder / "hook"),
            "NETWORK_LOG": str(log),
            "PROFILE_SIGNAL_GLAZE": "1",
            "STATSD_HOST": _STATSD[0],
            "STATSD_PORT": str(_STATSD[1]),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "true",
            "DBT_VERSION_CHECK": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    return Run(done.returncode, done.stderr, asked, calls.read_text() if tracer else "")


def test_run_without_a_network_publishes(run: Run) -> None:
    if not without_network():
        pytest.skip("no network namespace can be made here")
    assert run.code == 0, run.stderr
    assert "published 1 snapshot of 1 member (1 membership, 0 without comments)" in run.stderr


def test_python_during_a_run_asks_for_the_statsd_address_only(run: Run) -> None:
    addresses = {tuple(address) for _, address in run.asked_by_python if isinstance(address, list)}
    assert addresses == {_STATSD}
    assert all(isinstance(address, list) for _, address in run.asked_by_python)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it sees libpq and Postgres too")
def test_system_calls_during_a_run_name_the_statsd_address_only(run: Run) -> None:
    """This includes Postgres, which is reached over its socket. No name server is asked."""
    sent = re.findall(r"(?:connect|sendto|sendm{1,2}sg)\(.*sa_family=AF_INET6?, .*", run.system_calls)
    statsd = f'sin_port=htons({_STATSD[1]}), sin_addr=inet_addr("{_STATSD[0]}")'
    assert sent
    assert [call for call in sent if statsd not in call] == []
    assert "/.s.PGSQL.5432" in run.system_calls
