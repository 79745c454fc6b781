"""Whatever the umask, only its user can open what a run creates, and what exists keeps its mode."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(params=[0o022, 0], ids=["umask 022", "umask 0"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def alone(umask: None, tmp_path: Path) -> Wrapper:
    """The wrapper on the embedded server, with a home and a temporary directory of its own."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    whiteballoon = WhiteBalloon(tmp_path / "data")
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello", tags=("tools", None, None))
    whiteballoon.app.close()
    # Closing the last connection deletes the side files of WAL mode, so the run has to create them.
    whiteballoon.analyses.close()
    whiteballoon.analyses_path.chmod(0o664)
    return Wrapper(
        tmp_path,
        {"PROFILE_SIGNAL_GLAZE": "1", "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
    )


def test_files_of_a_run_under_any_umask_are_private(
    alone: Wrapper, tmp_path: Path, amount: Callable[[int, int], int]
) -> None:
    before = os.umask(0)
    os.umask(before)
    if before and not amount(0, 1):
        # Under the usual umask, a load is enough; the worst umask is tried with a whole run.
        alone.succeed("load")
        assert {mode(path) for path in (tmp_path / "storage").rglob("*")} == {0o600, 0o700}
        return
    data = {path.name for path in (tmp_path / "data").iterdir()}
    alone.succeed("snapshot", "--all", "--output-dir", "out/deep")
    made = [
        path
        for name in ("storage", "out", "tmp", "home")
        for path in [tmp_path / name, *(tmp_path / name).rglob("*")]
        if name in {"storage", "out"} or path != tmp_path / name
    ]
    for name in ("partial_parse.msgpack", "server.log", "PG_VERSION", "signal_profile_snapshot.log", "1-g.json"):
        assert name in {path.name for path in made}
    too_open = {str(path): oct(mode(path)) for path in made if mode(path) not in {0o600, 0o700}}
    assert too_open == {}
    assert [path for path in made if mode(path) == 0o700 and not path.is_dir()] == []
    assert [path for name in ("home", "tmp") for path in (tmp_path / name).iterdir()] == []
    # WhiteBalloon can still use the side files that SQLite needs beside its database.
    beside = [path for path in (tmp_path / "data").iterdir() if path.name not in data]
    assert {mode(path) for path in beside} == {0o664}


def test_existing_directories_after_a_run_keep_their_mode(alone: Wrapper, tmp_path: Path) -> None:
    for name in ("storage", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o751)
    # A run creates both before it can fail.
    assert alone("snapshot", "--all", "--output-dir", "out", DATABASE_URL="sqlite:///absent.db").code == 2
    assert [mode(tmp_path / name) for name in ("storage", "out")] == [0o751, 0o751]
    assert mode(tmp_path / "storage" / "postgres") == 0o700
