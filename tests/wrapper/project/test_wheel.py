"""The wheel: it carries the dbt project, runs from any directory, and writes nothing beside its own files."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.rules.test_rows import awkward_whiteballoon
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR, find_project

DBT_FILES = ("dbt_project.yml", "selectors.yml", ".dbtignore")
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, PROJECT_DIR], check=True)
    return next(folder.glob("*.whl"))


def test_wheel_contains_the_dbt_project_without_pytest_files(wheel: Path) -> None:
    names = {name.removeprefix("wrapper/_dbt_project/") for name in zipfile.ZipFile(wheel).namelist()}
    tracked = subprocess.check_output(["git", "ls-files"], cwd=PROJECT_DIR, text=True).splitlines()
    parts = ("analyses/", "macros/", "models/", "profiles.yml", "seeds/", "tests/", *DBT_FILES)
    expected = {
        name
        for name in tracked
        if name.startswith(parts) and not name.startswith("tests/wrapper/") and not name.endswith(".py")
    }
    assert expected <= names
    assert not [name for name in names if name.startswith("tests/wrapper/") or "benchmarks" in name]
    assert {"wrapper/py.typed", "wrapper/reading/templates/report.html"} <= names


def test_find_project_in_a_clone_or_a_wheel_finds_the_dbt_project(wheel: Path, tmp_path: Path) -> None:
    assert find_project(PROJECT_DIR / "wrapper") == PROJECT_DIR
    zipfile.ZipFile(wheel).extractall(tmp_path)
    assert find_project(tmp_path / "wrapper") == tmp_path / "wrapper" / "_dbt_project"


def test_wheel_runs_from_any_directory_and_writes_nothing_beside_its_files(
    wheel: Path, wrapper: Wrapper, whiteballoon: WhiteBalloon, tmp_path: Path
) -> None:
    awkward_whiteballoon(whiteballoon)
    installed = tmp_path / "installed"
    subprocess.run([*PIP, "install", "--no-deps", "--target", installed, wheel], check=True)
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    done = subprocess.run(
        [installed / "bin" / "wrapper", "snapshot", "--all"],
        cwd=wrapper.cwd,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
            **wrapper.environ,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before
    entry = wrapper.snapshot("--all")
    assert entry["unchanged"] == entry["generated"] > 0
