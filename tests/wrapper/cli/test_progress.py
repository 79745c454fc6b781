"""Progress, on a real terminal and without one."""

import contextlib
import os
import pty
import re

from tests.wrapper.conftest import Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon


def test_progress_counts_to_its_total_on_a_terminal_and_is_absent_elsewhere(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    silent = wrapper.succeed("snapshot", "--all").stderr
    assert "\r" not in silent
    assert "steps done" not in silent

    terminal, other_end = pty.openpty()
    process = wrapper.start("snapshot", "--all", "--rebuild", stderr=other_end)
    os.close(other_end)
    shown = b""
    # Linux says so by an error when the other end of a terminal is closed.
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            shown += chunk
    assert process.wait() == 0
    steps = re.findall(r"(\d+) of (\d+) steps done", shown.decode())
    assert len(steps) > 20
    assert [int(done) for done, _ in steps] == list(range(1, len(steps) + 1))
    assert {int(total) for _, total in steps} == {len(steps)}
    # The line is gone before the summary comes.
    assert "\x1b[Kpublished 1 snapshots of 1 members" in shown.decode()
