"""Progress is shown on a real terminal only."""

import contextlib
import os
import pty
import re

from tests.wrapper.conftest import Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon


def test_progress_on_a_terminal_names_stages_and_counts_and_is_absent_elsewhere(
    wrapper: Wrapper, awkward: WhiteBalloon
) -> None:
    silent = wrapper.succeed("snapshot", "--all", "--rebuild").stderr
    assert not {"\r", "\x1b"} & set(silent)
    assert silent.startswith("published 10 snapshots of 10 members")

    terminal, other_end = pty.openpty()
    process = wrapper.start("snapshot", "--all", "--rebuild", stderr=other_end)
    os.close(other_end)
    shown = b""
    # Linux raises an error when the other end of a terminal is closed.
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            shown += chunk
    assert process.wait() == 0
    *lines, summary = shown.decode().split("\r\x1b[K")
    # The progress line is erased before the summary is printed.
    assert summary.startswith("published 10 snapshots of 10 members")
    steps = [re.fullmatch(r"(\w+) \((\d+) of (\d+) steps done\)", line) for line in lines]
    found = [(step[1], int(step[2]), int(step[3])) for step in steps if step]
    assert len(found) > 20
    assert {doing for doing, _, _ in found} == {"building", "testing", "publishing"}
    assert [done for _, done, _ in found] == sorted(done for _, done, _ in found)
    assert {done for _, done, _ in found} == set(range(found[0][2] + 1))
    others = [line for line, step in zip(lines, steps, strict=True) if not step]
    assert others == [
        "",
        "opening the warehouse",
        "waiting for the lock",
        "copying app.db",
        "loading user_attributes (1 of 4 tables)",
        "loading user_attributes (1 of 4 tables): 13 rows",
        "loading help_requests (2 of 4 tables)",
        "loading help_requests (2 of 4 tables): 5 rows",
        "loading request_comments (3 of 4 tables)",
        "loading request_comments (3 of 4 tables): 20 rows",
        # It is empty.
        "loading user_profile_highlights (4 of 4 tables)",
        "copying comment_llm_insights.db",
        "loading comment_llm_analyses (1 of 1 tables)",
        "loading comment_llm_analyses (1 of 1 tables): 4 rows",
        "looking for changes",
        "starting dbt",
        "hashing",
    ]


def test_run_with_quiet_prints_only_warnings_and_failures(awkward: WhiteBalloon, wrapper: Wrapper) -> None:
    """Cron mails whatever is printed: a run without warnings must send no mail, and a warning should send one."""
    good = wrapper.succeed("snapshot", "--all", "--quiet")
    assert (good.stdout, good.stderr) == ("", "")
    off = wrapper.succeed("snapshot", "--all", "--quiet", PROFILE_SIGNAL_GLAZE="off").stderr
    assert off == "PROFILE_SIGNAL_GLAZE is off, so nothing was done: set it to 1 to let runs publish\n"
    (wrapper.cwd / ".env").write_text("STATSD_HOST=a\n")
    warned = wrapper.succeed("snapshot", "--all", "--quiet", STATSD_HOST="").stderr
    assert warned.startswith("warning: STATSD_HOST is set to different values")
    assert warned.count("\n") == 1
    failed = wrapper("snapshot", "--user", "99", "--quiet")
    assert (failed.code, failed.stderr.count("\n")) == (2, 1)
