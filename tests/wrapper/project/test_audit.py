"""`make audit` looks up every pin, fails on a vulnerable one, and tolerates only a missing network."""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrapper.dbt_project import PROJECT_DIR

LOCK = PROJECT_DIR / "requirements.lock"


@contextlib.contextmanager
def advisory_service(vulnerable: str, status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A small OSV on this machine that knows one advisory; yields its URL and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            asked.extend(queries)
            found = {"vulns": [{"id": "TEST-1", "modified": "2026-01-01T00:00:00Z"}]}
            self._answer({"results": [found if query["package"]["name"] == vulnerable else {} for query in queries]})

        def do_GET(self) -> None:
            self._answer({"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "summary": "it is bad"})

        def _answer(self, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def audit(lock: Path, url: str) -> "subprocess.CompletedProcess[str]":
    script = PROJECT_DIR / ".ci" / "audit.py"
    return subprocess.run([sys.executable, script, lock, url], capture_output=True, text=True, check=False)


def test_audit_looks_up_every_pin() -> None:
    with advisory_service("nothing of ours") as (url, asked):
        done = audit(LOCK, url)
    assert done.returncode == 0, done.stdout + done.stderr
    pins = re.findall(r"^[^\s;]+==[^\s;]+", LOCK.read_text(), re.MULTILINE)
    pins = [re.sub(r"\[.*\]", "", pin) for pin in pins]
    assert {f"{query['package']['name']}=={query['version']}" for query in asked} == set(pins)
    assert done.stdout == f"audit: no known vulnerability in {len(pins)} packages\n"


def test_audit_of_a_vulnerable_pin_fails_and_names_it() -> None:
    with advisory_service("dbt-core") as (url, _):
        done = audit(LOCK, url)
    assert done.returncode == 1
    assert "dbt-core" in done.stdout
    assert "TEST-1" in done.stdout


def test_audit_without_an_advisory_service_passes_with_one_line() -> None:
    with advisory_service("dbt-core", 503) as (out_of_order, _):
        for url in ("http://127.0.0.1:9/", out_of_order):
            done = audit(LOCK, url)
            assert done.returncode == 0
            assert done.stdout == "audit: the advisory service cannot be reached, so nothing was looked up\n"


def test_audit_when_the_service_answers_404_fails() -> None:
    with advisory_service("dbt-core", 404) as (url, _):
        assert audit(LOCK, url).returncode == 2


def test_audit_of_a_lock_without_pins_fails(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").write_text("# nothing\n")
    with advisory_service("dbt-core") as (url, _):
        assert audit(tmp_path / "empty.lock", url).returncode == 1
