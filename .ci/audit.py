"""Look up every pin of a lock file among the known vulnerabilities: `audit.py requirements.lock [SERVICE_URL]`.

Exits with 1 where there is one, and with 0 and a line that says so where the advisory service cannot be reached.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
# uv audits projects by their uv.lock, so it gets one that has the pins; a folder as their source asks no index.
SOURCE = 'source = { registry = "." }'
UNREACHABLE = ("error sending request", "HTTP status server error")


def main(lock: Path, *service_url: str) -> int:
    """Run uv's audit on the pins and return the exit code."""
    pins = PIN.findall(lock.read_text(encoding="utf-8"))
    if not pins:
        raise SystemExit(f"audit: {lock} pins nothing")
    packages = [f'[[package]]\nname = "{name}"\nversion = "{version}"\n{SOURCE}\n' for name, version in pins]
    dependencies = [f'    {{ name = "{name}", version = "{version}", {SOURCE} }},\n' for name, version in pins]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(
            '[project]\nname = "audited"\nversion = "0"\nrequires-python = ">=3.11"\n'
        )
        (Path(folder) / "uv.lock").write_text(
            f'version = 1\nrequires-python = ">=3.11"\n\n{"".join(packages)}\n[[package]]\nname = "audited"\n'
            f'version = "0"\nsource = {{ virtual = "." }}\ndependencies = [\n{"".join(dependencies)}]\n'
        )
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("uv")), "audit", "--frozen", "--no-cache", "--quiet"),
                *("--preview-features", "audit-command", "--project", folder),
                *(f"--service-url={url}" for url in service_url),
            ],
            env={**os.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode and any(reason in done.stderr for reason in UNREACHABLE):
        print("audit: the advisory service cannot be reached, so nothing was looked up")
        return 0
    print(done.stdout + done.stderr, end="")
    if done.returncode == 0:
        print(f"audit: no known vulnerability in {len(pins)} packages")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
