"""The programs that read the files of deploy/ accept them; only paths and users differ from a real machine."""

import getpass
import grp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wrapper.conftest import WRAPPER, Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR

DEPLOY = PROJECT_DIR / "deploy"
INSTALLED = "/opt/signal-profile-snapshots/.venv/bin/wrapper"
# In tenths: systemd calls an exposure up to 2.0 "OK", and less "safe"; a service without any hardening has 9.6.
MOST_EXPOSED = "20"


def need(program: str) -> str:
    """Return the program's path, also below Debian's /usr/sbin. If it is not installed, skip the test; in CI, fail."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is required in CI: .ci/run installs it")
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Copies of the systemd units, which start this clone's program."""
    copies = []
    for unit in sorted((DEPLOY / "systemd").iterdir()):
        text = unit.read_text()
        started = f"ExecStart={INSTALLED} snapshot --all" in text or f"{INSTALLED} export --stale | " in text
        assert unit.suffix != ".service" or started
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text.replace(INSTALLED, str(WRAPPER)))
    assert [unit.suffix for unit in copies] == [".service", *([".service", ".timer"] * 2)]
    return copies


def test_systemd_units_are_verified_without_a_message(units: list[Path]) -> None:
    done = subprocess.run([need("systemd-analyze"), "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_services_are_little_exposed_and_accept_exit_codes_75_and_130(units: list[Path]) -> None:
    for unit in units:
        if unit.suffix == ".service":
            command = [need("systemd-analyze"), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
            assert "SuccessExitStatus=75 130" in unit.read_text()


def test_group_service_differs_from_the_nightly_one_only_by_its_group() -> None:
    nightly, group = (
        (DEPLOY / "systemd" / f"signal-profile-snapshots{at}.service").read_text().splitlines() for at in ("", "@")
    )
    comment, *settings = [line for line, of_all in zip(group, nightly, strict=True) if line != of_all]
    assert comment.startswith("#")
    assert settings == [
        "Description=Signal profile snapshots of %I",
        f"ExecStart={INSTALLED} snapshot --all --group-slug %I --wait 600",
    ]


def test_run_log_after_logrotate_is_still_read_by_status(
    wrapper: Wrapper, awkward: WhiteBalloon, tmp_path: Path
) -> None:
    wrapper.snapshot("--all")
    log = wrapper.cwd / "storage" / "signal_profile_snapshot.log"
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    text = (DEPLOY / "logrotate" / "signal-profile-snapshots").read_text()
    text = text.replace("/srv/whiteballoon/storage/signal_profile_snapshot.log", str(log))
    config = tmp_path / "logrotate.conf"
    config.write_text(text.replace("whiteballoon whiteballoon", f"{user} {group}"))
    config.chmod(0o644)
    command = [need("logrotate"), "--state", str(tmp_path / "state"), str(config)]
    tried = subprocess.run([*command, "--debug"], capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr
    assert "error" not in tried.stderr

    subprocess.run([*command, "--force"], check=True)
    assert log.read_text() == ""
    assert log.stat().st_mode & 0o777 == 0o600
    assert [run["status"] for run in json.loads(wrapper.succeed("status", "--json").stdout)["runs"]] == ["success"]
    wrapper.snapshot("--all")
    assert len(json.loads(wrapper.succeed("status", "--json").stdout)["runs"]) == 2


def test_crontab_runs_one_quiet_snapshot_as_whiteballoons_user() -> None:
    lines = (DEPLOY / "cron" / "signal-profile-snapshots").read_text().splitlines()
    jobs = [line for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]
    assert [job.split()[5] for job in jobs] == ["whiteballoon"]
    assert f"{INSTALLED} snapshot --all --quiet --wait 600" in jobs[0]
    # Cron would end the command at a %.
    assert "%" not in jobs[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs for other users")
def test_make_as_root_picks_a_python_that_other_users_can_run(tmp_path: Path) -> None:
    # Other users cannot enter pytest's folder, so they cannot run this copy.
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "python3")
    make = ["make", "--silent", "--eval=picked: ; @$(PYTHON) -c 'import sys; print(sys.executable)'", "picked"]
    environ = {"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"}
    picked = subprocess.check_output(make, cwd=PROJECT_DIR, env=environ, text=True).strip()
    if picked == str(tmp_path / "python3"):
        pytest.skip("no Python here can be run by other users")
    # Without the check of folders, make picks the copy.
    assert picked not in subprocess.check_output([*make, "OPEN="], cwd=PROJECT_DIR, env=environ, text=True)
    command = ["setpriv", "--reuid=nobody", "--clear-groups", picked, "-c", ""]
    assert subprocess.run(command).returncode == 0
