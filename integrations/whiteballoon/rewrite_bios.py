"""Write the bios that `wrapper export --stale` lists, with WhiteBalloon's own services.

Run it with WhiteBalloon's Python in WhiteBalloon's directory; README.md beside it shows how. It needs nothing that
WhiteBalloon does not install. It was verified with the commit of WhiteBalloon named in VERIFIED_WITH.

Exit codes: 0 done; 1 a member or an input line failed; 2 usage or configuration; 130 interrupted.
"""

import argparse
import dataclasses
import hashlib
import importlib
import inspect
import json
import logging
import operator
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

VERIFIED_WITH = "c9cf720"
# What is used of WhiteBalloon, by module: each name, and those of its parameters that are passed by name.
NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "sqlmodel": {"Session": ()},
    "app.db": {"get_engine": ()},
    "app.services.signal_profile_snapshot": {
        "SignalProfileSnapshot.from_dict": (),
        "SignalProfileSnapshot.to_dict": (),
    },
    "app.services.comment_llm_insights_service": {"CommentInsight": ()},
    "app.services.signal_profile_bio_service": {"fallback_bio": ()},
    "app.services.signal_profile_bio_client": {"SignalProfileBioLLM": ("model",), "SignalProfileBioLLM.generate": ()},
    "app.services.user_profile_highlight_service": {
        "HighlightMeta": ("source_group", "llm_model", "snapshot_last_seen_at", "guardrail_issues"),
        "get": (),
        "upsert_auto": (
            "user_id", "bio_paragraphs", "proof_points", "quotes", "confidence_note", "snapshot_hash", "meta",
        ),
    },
}  # fmt: skip


class ConfigurationError(Exception):
    """Nothing can be written here; the message says why, in one line."""


class MemberError(Exception):
    """One member's bio cannot be written; the message says why, in one line."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A line of the export, as WhiteBalloon's own types."""

    snapshot: Any
    snapshot_hash: str
    # The latest comment's first.
    analyses: list[Any]


@dataclasses.dataclass
class Counts:
    """How many lines the input has, and what became of their members."""

    lines: int = 0
    written: int = 0
    kept: int = 0
    failed: int = 0
    guardrail_fallbacks: int = 0

    @property
    def not_reached(self) -> int:
        """Those after an interrupt, or after --max-members."""
        return self.lines - self.written - self.kept - self.failed


class WhiteBalloon:
    """The services of the WhiteBalloon in the working directory."""

    def __init__(self) -> None:
        """Import them. Raises ConfigurationError if they are not what this script was verified with."""
        # In place of this script's own directory.
        sys.path[0] = str(Path.cwd())
        self._services: dict[str, Any] = {}
        problems = []
        for module, names in NEEDED.items():
            try:
                imported = importlib.import_module(module)
            except ModuleNotFoundError as error:
                if str(error.name).partition(".")[0] == "app":
                    raise ConfigurationError(
                        f"WhiteBalloon's module {error.name} is not in {Path.cwd()}: run this in WhiteBalloon's "
                        f"directory; it was verified with WhiteBalloon {VERIFIED_WITH}"
                    ) from None
                raise ConfigurationError(
                    f"the Python module {error.name} is not installed for {sys.executable}: run this with "
                    "WhiteBalloon's own Python"
                ) from None
            except Exception as error:
                raise ConfigurationError(f"importing {module} failed: {one_line(error)}") from None
            for name, parameters in names.items():
                try:
                    service = self._services[name] = operator.attrgetter(name)(imported)
                except AttributeError:
                    problems.append(f"{module} has no {name}")
                    continue
                if missing := set(parameters) - set(inspect.signature(service).parameters):
                    problems.append(f"{name} in {module} has no parameter {', '.join(sorted(missing))}")
        if problems:
            raise ConfigurationError(f"{'; '.join(problems)}: this was verified with WhiteBalloon {VERIFIED_WITH}")

    def check(self, model: str | None) -> None:
        """Raise ConfigurationError if highlights cannot be read, or if WhiteBalloon's client for `model` is missing."""
        try:
            url = self._services["get_engine"]().url
            # SQLite would create the file.
            if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
                raise ConfigurationError(f"WhiteBalloon's database {url.database} does not exist")
            self._override(0)
        except ConfigurationError:
            raise
        except Exception as error:
            raise ConfigurationError(f"WhiteBalloon's highlights cannot be read: {one_line(error)}") from None
        try:
            if model is not None:
                self._services["SignalProfileBioLLM"](model=model)
        except Exception as error:
            raise ConfigurationError(f"WhiteBalloon's language-model client: {one_line(error)}") from None

    def parse(self, line: bytes) -> Member:
        """Return the member of an exported line. Raises MemberError if it is not one."""
        try:
            exported = json.loads(line)
            snapshot = self._services["SignalProfileSnapshot.from_dict"](exported["snapshot"])
            insight = self._services["CommentInsight"]
            fields = [field.name for field in dataclasses.fields(insight)]
            analyses = [insight(**{name: analysis[name] for name in fields}) for analysis in exported["analyses"]]
            canonical = json.dumps(exported["snapshot"], sort_keys=True)
            if hashlib.sha256(canonical.encode()).hexdigest() != exported["snapshot_hash"]:
                raise MemberError("its snapshot_hash is not that of its snapshot")
            # What it does not know, or gives a default, would be missing from the bio.
            if snapshot.to_dict() != exported["snapshot"]:
                raise MemberError("WhiteBalloon reads another snapshot from it")
        except KeyError as error:
            raise MemberError(f"it has no {error}") from None
        except (AttributeError, RecursionError, TypeError, ValueError) as error:
            raise MemberError(one_line(error)) from None
        return Member(snapshot, exported["snapshot_hash"], analyses)

    def rewrite(self, member: Member, model: str | None, dry_run: bool) -> list[str] | None:
        """Write a member's bio and store it, or only see whether that would be done.

        Returns the guardrails that the model's bio broke, so that the fallback was stored in its place; None if the
        bio was kept because a person wrote it. Raises MemberError if the model does not write a bio, and whatever the
        database raises; the highlight is then as it was.
        """
        user_id = member.snapshot.user_id
        if self._override(user_id):
            return None
        if dry_run:
            return []
        bio, issues = self._write(member, model)
        if not bio.bio_paragraphs:
            raise MemberError("the model wrote an empty bio")
        # A session of its own, opened only now: it sees an override made while the model was writing.
        with self._session() as session:
            stored = self._services["upsert_auto"](
                session,
                user_id=user_id,
                bio_paragraphs=bio.bio_paragraphs,
                proof_points=[point.to_dict() for point in bio.proof_points],
                quotes=bio.quotes,
                confidence_note=bio.confidence_note,
                snapshot_hash=member.snapshot_hash,
                meta=self._services["HighlightMeta"](
                    source_group=member.snapshot.group_slug,
                    llm_model=model,
                    snapshot_last_seen_at=member.snapshot.last_seen_at,
                    guardrail_issues=issues,
                ),
            )
            session.commit()
            return None if stored.manual_override else issues

    def _write(self, member: Member, model: str | None) -> tuple[Any, list[str]]:
        """Return a bio, and the guardrails that the model's broke if this is the fallback in its place."""
        issues: list[str] = []
        if model is not None:
            # A new client for each: it runs an event loop per call, and connections kept from an earlier loop break.
            result = self._services["SignalProfileBioLLM"](model=model).generate(member.snapshot, member.analyses)
            # Storing the fallback now would mark the bio as up to date, and no later run would ask the model.
            if "llm-error" in result.guardrail_issues:
                raise MemberError("the model gave no usable answer; the bio stays as it is until the next run")
            if not result.guardrail_issues:
                return result.payload, []
            issues = list(result.guardrail_issues)
        # The prompt takes the latest analysis for the first, the fallback takes it for the last.
        return self._services["fallback_bio"](member.snapshot, member.analyses[::-1]), issues

    def _override(self, user_id: int) -> bool:
        with self._session() as session:
            highlight = self._services["get"](session, user_id)
            return highlight is not None and highlight.manual_override

    def _session(self) -> Any:
        return self._services["Session"](self._services["get_engine"]())


def one_line(error: BaseException) -> str:
    """Return an error's kind and first line; the lines after it can quote the row."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"


def say(text: str, stream: TextIO) -> None:
    """Print a line; what would steer a terminal becomes `?`. A closed pipe does not stop the bios."""
    try:
        print("".join(c if c.isprintable() else "?" for c in text), file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def members(whiteballoon: WhiteBalloon, lines: list[bytes], counts: Counts) -> Iterator[Member]:
    """Yield the member of each line; report and count those that are not one, or have one that came before."""
    seen = set()
    for number, line in enumerate(lines, start=1):
        try:
            member = whiteballoon.parse(line)
            if member.snapshot.user_id in seen:
                raise MemberError(f"user {member.snapshot.user_id} came before; WhiteBalloon keeps one bio per member")
        except MemberError as error:
            counts.failed += 1
            say(f"line {number}: failed: not a line of wrapper export --stale: {error}", sys.stderr)
            continue
        seen.add(member.snapshot.user_id)
        yield member


def rewrite(whiteballoon: WhiteBalloon, lines: list[bytes], options: argparse.Namespace, counts: Counts) -> None:
    """Rewrite the bios of exported lines one by one, print what became of each, and count it."""
    for reached, member in enumerate(members(whiteballoon, lines, counts)):
        if reached == options.max_members:
            break
        user = f"user {member.snapshot.user_id}"
        try:
            issues = whiteballoon.rewrite(member, options.model, options.dry_run)
        except Exception as error:
            counts.failed += 1
            say(f"{user}: failed: {error if isinstance(error, MemberError) else one_line(error)}", sys.stderr)
            continue
        if issues is None:
            counts.kept += 1
            say(f"{user}: kept, a person wrote this bio", sys.stdout)
            continue
        counts.written += 1
        counts.guardrail_fallbacks += bool(issues)
        instead = f", as fallback since the model's broke {', '.join(issues)}" if issues else ""
        verb = "would be written" if options.dry_run else "written"
        say(f"{user}: {verb} from {member.snapshot.group_slug}{instead}", sys.stdout)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write the bios that `wrapper export --stale` lists on stdin, with WhiteBalloon's own services. "
        "Run it with WhiteBalloon's Python in WhiteBalloon's directory."
    )
    writer = parser.add_mutually_exclusive_group(required=True)
    writer.add_argument("--model", metavar="NAME", help="have this model write, by WhiteBalloon's client")
    writer.add_argument("--fallback", action="store_true", help="write without a language model")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be written; asks no model")
    parser.add_argument("--max-members", type=int, metavar="N", help="stop after this many members")
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        default=Path("storage/signal_profile_bios.log"),
        help="append a JSON line about the run here (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.max_members is not None and options.max_members < 1:
        parser.error(f"--max-members must be at least 1, not {options.max_members}")
    if sys.stdin.isatty():
        parser.error("pipe the output of `wrapper export --stale` into it")
    return options


def main() -> int:
    """Run, print a summary, log the run; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = parse_options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A traceback for each client that is discarded after its loop.
    logging.getLogger("asyncio").disabled = True
    started, counts, code = time.monotonic(), Counts(), 130
    timestamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    try:
        whiteballoon = WhiteBalloon()
        whiteballoon.check(options.model)
        options.log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except ConfigurationError as error:
        say(f"rewrite_bios: {error}", sys.stderr)
        return 2
    except OSError as error:
        say(f"rewrite_bios: cannot write the log {options.log}: {error.strerror}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        return code
    try:
        # All of it first: the wrapper need not wait for a model that takes hours.
        lines = sys.stdin.buffer.readlines()
        counts.lines = len(lines)
        rewrite(whiteballoon, lines, options, counts)
        code = 1 if counts.failed else 0
    except KeyboardInterrupt:
        say("rewrite_bios: interrupted", sys.stderr)
    finally:
        entry = {
            "timestamp": timestamp,
            "status": {0: "success", 1: "failed", 130: "interrupted"}[code],
            "dry_run": options.dry_run,
            "model": options.model,
            **dataclasses.asdict(counts),
            "not_reached": counts.not_reached,
            "duration_seconds": round(time.monotonic() - started, 3),
        }
        os.write(log, json.dumps(entry).encode() + b"\n")
    would = "would be written" if options.dry_run else "written"
    say(
        f"{counts.lines} lines: {counts.written} {would}, {counts.kept} kept, {counts.failed} failed, "
        f"{counts.not_reached} not reached",
        sys.stdout,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
