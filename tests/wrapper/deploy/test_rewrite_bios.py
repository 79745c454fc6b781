"""integrations/whiteballoon/rewrite_bios.py is run as a real process, on lines that the wrapper exports.

The `app` in stand_in/ mirrors the services of WhiteBalloon c9cf720 that the script uses, with their signatures:
`get_engine()`, `SignalProfileSnapshot.from_dict(payload)` and `.to_dict()`, the fields of `CommentInsight`,
`fallback_bio(snapshot, analyses)`, `SignalProfileBioLLM(*, model).generate(snapshot, analyses)`,
`get(session, user_id)`, `upsert_auto(session, *, user_id, bio_paragraphs, proof_points, quotes, confidence_note,
snapshot_hash, meta)` and `HighlightMeta(source_group, llm_model, snapshot_last_seen_at, guardrail_issues)`.
"""

import ast
import contextlib
import dataclasses
import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.wrapper.conftest import WRAPPER, Result, Wrapper
from tests.wrapper.pages import blocks
from tests.wrapper.project.test_pages import type_in
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR

SCRIPT = PROJECT_DIR / "integrations" / "whiteballoon" / "rewrite_bios.py"
README = SCRIPT.with_name("README.md")
STAND_IN = Path(__file__).with_name("stand_in")
GROUP = "harvardstcommons"
LOG = Path("storage", "signal_profile_bios.log")


@pytest.fixture(scope="module")
def exported(example: Wrapper) -> list[str]:
    """A group's exported lines, one per member, as `export --stale` prints them for members without a bio."""
    lines = example.succeed("export", "--group-slug", GROUP).stdout.splitlines()
    assert len(lines) > 20
    return lines


@dataclasses.dataclass
class Instance:
    """A WhiteBalloon without bios, in a directory of its own."""

    folder: Path

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start the script there, with an empty environment."""
        return subprocess.Popen(
            [sys.executable, SCRIPT, *arguments],
            cwd=self.folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def rewrite(self, lines: Sequence[str], *arguments: str) -> Result:
        """Run the script on exported lines."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate("".join(f"{line}\n" for line in lines).encode(), timeout=60)
        return Result(process.returncode, stdout.decode(), stderr.decode())

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "app.db", isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def stored(self) -> dict[int, tuple[Any, ...]]:
        """Return each highlight's group, hash and what was passed with them, by user."""
        rows = self.execute("select user_id, source_group, snapshot_hash, bio_text from user_profile_highlights")
        return {user: (group, digest, json.loads(passed)) for user, group, digest, passed in rows}

    def override(self, user_id: int, manual: bool = True) -> None:
        """Give a user a bio that a person wrote, or an old one that a model wrote."""
        self.execute(
            "insert into user_profile_highlights (user_id, bio_text, generated_at, is_stale, manual_override) "
            f"values ({user_id}, '\"old\"', '2026-01-01 00:00:00', 0, {manual:d})"
        )

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / LOG).read_text().splitlines()]


@pytest.fixture
def instance(example: Wrapper, tmp_path: Path) -> Instance:
    shutil.copytree(STAND_IN, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data").mkdir()
    shutil.copy(example.cwd / "data" / "app.db", tmp_path / "data")
    instance = Instance(tmp_path)
    instance.execute("delete from user_profile_highlights")
    return instance


def user_of(line: str) -> int:
    return int(json.loads(line)["snapshot"]["user_id"])


def test_bio_written_from_an_exported_line_is_stored_with_its_hash_and_group(
    instance: Instance, exported: list[str]
) -> None:
    everything = [table for (table,) in instance.execute("select name from sqlite_master where type = 'table'")]
    others = [f"select * from {table}" for table in everything if table != "user_profile_highlights"]
    before = [instance.execute(statement) for statement in others]
    instance.override(user_of(exported[0]))
    done = instance.rewrite(exported, "--fallback")
    assert (done.code, done.stderr) == (0, "")
    kept, *written, summary = done.stdout.splitlines()
    assert kept == f"user {user_of(exported[0])}: kept, a person wrote this bio"
    assert written == [f"user {user_of(line)}: written from {GROUP}" for line in exported[1:]]
    assert summary == f"{len(exported)} lines: {len(written)} written, 1 kept, 0 failed, 0 not reached"

    stored = instance.stored()
    assert stored.pop(user_of(exported[0])) == (None, None, "old")
    for line in map(json.loads, exported[1:]):
        # The service expects the latest analysis last; the export lists it first.
        comments = [analysis["comment_id"] for analysis in reversed(line["analyses"])]
        passed = [[f"fallback from {comments}"], [{"label": "tag"}], ["quote"], "sure", None, []]
        assert stored.pop(line["snapshot"]["user_id"]) == (GROUP, line["snapshot_hash"], passed)
    assert stored == {}
    assert [instance.execute(statement) for statement in others] == before

    [entry] = instance.log()
    assert entry.pop("timestamp")[10:] != ""
    assert entry.pop("duration_seconds") < 60
    assert entry == {
        "status": "success", "dry_run": False, "model": None, "lines": len(exported), "written": len(written),
        "kept": 1, "failed": 0, "guardrail_fallbacks": 0, "not_reached": 0,
    }  # fmt: skip
    assert (instance.folder / LOG).stat().st_mode & 0o777 == 0o600


def test_member_refused_by_the_database_does_not_stop_the_other_members(
    instance: Instance, exported: list[str]
) -> None:
    refused = user_of(exported[2])
    instance.execute(
        "create trigger refuse before insert on user_profile_highlights "
        f"when new.user_id = {refused} begin select raise(abort, 'refused'); end"
    )
    done = instance.rewrite(exported, "--fallback")
    assert (done.code, done.stderr) == (
        1,
        f"user {refused}: failed: IntegrityError: (sqlite3.IntegrityError) refused\n",
    )
    assert sorted(instance.stored()) == sorted({*map(user_of, exported)} - {refused})
    assert (instance.log()[0]["status"], instance.log()[0]["failed"]) == ("failed", 1)


def test_dry_run_calls_no_model_and_changes_no_byte_of_the_database(instance: Instance, exported: list[str]) -> None:
    def digests() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in instance.folder.glob("data/*")}

    before = digests()
    # This model would fail user 1.
    done = instance.rewrite(exported, "--model", "some", "--dry-run", "--log", "else/where.log")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:-1] == [
        f"user {user_of(line)}: would be written from {GROUP}" for line in exported
    ]
    assert digests() == before
    assert json.loads((instance.folder / "else" / "where.log").read_text())["dry_run"] is True


def test_model_that_fails_for_a_member_leaves_that_members_old_bio(instance: Instance, exported: list[str]) -> None:
    assert [user_of(line) for line in exported[:5]] == [1, 2, 3, 4, 5]
    for user in (1, 3, 4):
        instance.override(user, manual=False)
    done = instance.rewrite(exported[:5], "--model", "some")
    assert done.code == 1
    assert done.stderr.splitlines() == [
        "user 1: failed: the model gave no usable answer; the bio stays as it is until the next run",
        "user 3: failed: the model wrote an empty bio",
    ]
    assert done.stdout.splitlines()[:-1] == [
        f"user 2: written from {GROUP}, as fallback since the model's broke forbidden:maybe",
        # This override was made while the model was writing.
        "user 4: kept, a person wrote this bio",
        f"user 5: written from {GROUP}",
    ]
    stored = instance.stored()
    assert [stored[user][2] for user in (1, 3, 4)] == ["old"] * 3
    of_2, of_5 = ([a["comment_id"] for a in json.loads(exported[at])["analyses"]] for at in (1, 4))
    assert len(of_2) > 1
    assert stored[2][2][0] == [f"fallback from {of_2[::-1]}"]
    assert stored[2][2][4:] == ["some", ["forbidden:maybe"]]
    # The prompt begins with the latest analysis, as the export does.
    assert stored[5][2] == [[f"some from {of_5}"], [], ["quote"], "sure", "some", []]
    assert instance.log()[0]["guardrail_fallbacks"] == 1


def test_input_line_that_cannot_be_used_is_named_and_skipped(instance: Instance, exported: list[str]) -> None:
    good = json.loads(exported[0])
    edited = {**good, "snapshot": {**good["snapshot"], "message_count": good["snapshot"]["message_count"] + 1}}
    lines = [
        exported[0][: len(exported[0]) // 2],
        "[1]",
        "{}",
        json.dumps(edited),
        json.dumps({**good, "analyses": [{"comment_id": 1}]}),
        exported[1],
        exported[1],
    ]
    done = instance.rewrite(lines, "--fallback")
    assert done.code == 1
    assert "Traceback" not in done.stderr
    errors = done.stderr.splitlines()
    assert [error.split(": ")[0] for error in errors] == ["line 1", "line 2", "line 3", "line 4", "line 5", "line 7"]
    assert {error.split(": ")[2] for error in errors} == {"not a line of wrapper export --stale"}
    assert [error.split(": ", 3)[3] for error in errors[2:]] == [
        "it has no 'snapshot'",
        "its snapshot_hash is not that of its snapshot",
        "it has no 'help_request_id'",
        f"user {user_of(exported[1])} came before; WhiteBalloon keeps one bio per member",
    ]
    assert list(instance.stored()) == [user_of(exported[1])]


def test_max_members_option_limits_how_many_bios_are_written(instance: Instance, exported: list[str]) -> None:
    done = instance.rewrite(exported, "--fallback", "--max-members", "3")
    assert (done.code, done.stderr) == (0, "")
    assert list(instance.stored()) == [user_of(line) for line in exported[:3]]
    assert done.stdout.splitlines()[-1] == (
        f"{len(exported)} lines: 3 written, 0 kept, 0 failed, {len(exported) - 3} not reached"
    )


def test_output_pipe_closed_by_its_reader_stops_no_bio(instance: Instance, exported: list[str]) -> None:
    process = instance.start("--fallback")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write("\n".join(exported).encode())
    process.stdin.close()
    assert process.wait(60) == 0
    assert len(instance.stored()) == len(exported)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_rewrite_stopped_in_the_middle_has_stored_every_bio_that_it_reported(
    instance: Instance, exported: list[str], stop: signal.Signals, code: int
) -> None:
    process = instance.start("--model", "slow")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(exported).encode())
    process.stdin.close()
    said = [process.stdout.readline() for _ in range(2)]
    process.send_signal(stop)
    said += [line for line in process.stdout.readlines() if line.startswith(b"user ")]
    assert process.wait(60) == code
    stored = instance.stored()
    # A killed process may have stored one more bio than it reported.
    assert len(said) <= len(stored) <= len(said) + 1 < len(exported)
    if code == 130:
        [entry] = instance.log()
        assert (entry["status"], entry["written"]) == ("interrupted", len(said))
        assert entry["not_reached"] == len(exported) - len(said)
    assert instance.execute("pragma integrity_check") == [("ok",)]

    assert instance.rewrite(exported[len(stored) :], "--fallback").code == 0
    assert {user: digest for user, (_, digest, _) in instance.stored().items()} == {
        user_of(line): json.loads(line)["snapshot_hash"] for line in exported
    }


def test_part_of_whiteballoon_that_is_missing_or_changed_is_named(instance: Instance, exported: list[str]) -> None:
    """Each step removes or changes one more part."""
    highlights = instance.folder / "app" / "services" / "user_profile_highlight_service.py"

    def refusal(*arguments: str) -> str:
        done = instance.rewrite(exported[:1], *(arguments or ["--fallback"]))
        assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        return done.stderr.removeprefix("rewrite_bios: ")

    assert refusal("--model", "unknown") == "WhiteBalloon's language-model client: RuntimeError: Install it first\n"
    instance.execute("alter table user_profile_highlights rename column snapshot_hash to digest")
    assert "highlights cannot be read: OperationalError: (sqlite3.OperationalError) no such column: " in refusal()
    (instance.folder / "data" / "app.db").unlink()
    assert refusal() == "WhiteBalloon's database data/app.db does not exist\n"
    assert not (instance.folder / "data" / "app.db").exists()
    text = highlights.read_text()
    highlights.write_text(text.replace("snapshot_hash: str,", "digest: str,").replace("def get(", "def fetch("))
    module = "app.services.user_profile_highlight_service"
    assert refusal() == (
        f"{module} has no get; upsert_auto in {module} has no parameter snapshot_hash: "
        "this was verified with WhiteBalloon c9cf720\n"
    )
    highlights.write_text("raise ValueError('a setting')")
    assert refusal() == f"importing {module} failed: ValueError: a setting\n"
    highlights.unlink()
    assert refusal().startswith(f"WhiteBalloon's module {module} is not in {instance.folder}: run this in ")
    (instance.folder / "sqlmodel.py").unlink()
    assert refusal().startswith(f"the Python module sqlmodel is not installed for {sys.executable}: run this with ")
    assert not (instance.folder / "storage").exists()


def test_log_that_cannot_be_written_stops_the_script_before_any_bio(instance: Instance, exported: list[str]) -> None:
    done = instance.rewrite(exported, "--fallback", "--log", "data")
    assert (done.code, done.stderr) == (2, "rewrite_bios: cannot write the log data: Is a directory\n")
    assert instance.stored() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --model --fallback is required"),
        (["--fallback", "--max-members", "0"], "--max-members must be at least 1, not 0"),
    ],
)
def test_option_that_is_missing_or_wrong_is_named(instance: Instance, arguments: list[str], message: str) -> None:
    done = instance.rewrite([], *arguments)
    assert (done.code, done.stderr.splitlines()[-1]) == (2, f"rewrite_bios.py: error: {message}")


def test_script_parses_as_python_3_10_and_imports_only_the_standard_library() -> None:
    """WhiteBalloon allows Python 3.10. Apart from what NEEDED names, the script needs only its standard library."""
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 10))
    imported = {
        name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == set()
    assert "c9cf720" in README.read_text()


def test_documented_commands_write_the_bios_of_one_group_and_then_of_all(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    whiteballoon.group(1, 2, slug="tool-library")
    whiteballoon.group(3, slug="rides", name="R", request_id=2)
    for user, request in ((1, 1), (2, 1), (3, 2)):
        whiteballoon.comment(user, "hello", request_id=request)
    whiteballoon.execute("alter table user_profile_highlights add column generated_at datetime")
    wrapper.snapshot("--all")
    shutil.copytree(STAND_IN, wrapper.cwd, dirs_exist_ok=True)
    (wrapper.cwd / ".venv").symlink_to(sys.prefix)
    installed, instance = "/opt/signal-profile-snapshots", Instance(wrapper.cwd)

    def typed(page: Path, heading: str = "") -> list[str]:
        command = blocks(page, "sh", heading)[0].replace("sudo -u whiteballoon ", "")
        command = command.replace(f"{installed}/.venv/bin/wrapper", str(WRAPPER))
        command = command.replace(installed, str(PROJECT_DIR)).replace("/srv/whiteballoon", str(wrapper.cwd))
        done = type_in(command, wrapper.cwd, **wrapper.environ)
        assert done.returncode == 0, done.stdout
        return [line for line in done.stdout.splitlines() if line.startswith("user ")]

    assert typed(PROJECT_DIR / "deploy" / "README.md", "Switching over") == [
        f"user {user}: {verb} from tool-library" for verb in ("would be written", "written") for user in (1, 2)
    ]
    assert sorted(instance.stored()) == [1, 2]
    assert typed(README)[-1] == "user 3: written from rides"
    hashes = {user_of(json.dumps(line)): line["snapshot_hash"] for line in wrapper.export()}
    assert {user: digest for user, (_, digest, _) in instance.stored().items()} == hashes
