"""The files of --output-dir: one per snapshot, replaced atomically, and left alone if unchanged."""

import hashlib
import json
import os
import re
import tempfile
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

from wrapper.errors import ConfigurationError
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot

_NAME = re.compile(r"(-?[0-9]+)-(~[0-9a-f]{64}|[A-Za-z0-9_.%-]+)\.json")
# In bytes, on the file systems of Linux and macOS.
_LONGEST_NAME = 255


def prepare(directory: Path) -> None:
    """Create the directory if it is missing.

    Raises ConfigurationError if it cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError(f"--output-dir {directory} cannot be written: {error.strerror}") from error


def file_name(user_id: int, group_slug: str) -> str:
    """Return a snapshot's file name, with all of the slug percent-encoded except A-Z, a-z, 0-9, _, . and -.

    If that is too long for a file name, the slug is replaced by `~` and its SHA-256 in lower-case hex.
    """
    # quote() never encodes a tilde.
    slug = urllib.parse.quote(group_slug, safe="").replace("~", "%7E")
    name = f"{user_id}-{slug}.json"
    if len(name) > _LONGEST_NAME:
        return f"{user_id}-~{hashlib.sha256(group_slug.encode()).hexdigest()}.json"
    return name


def write_files(directory: Path, snapshots: Iterable[SignalProfileSnapshot], scope: Scope) -> None:
    """Write the file of each snapshot, unless it is up to date, and delete files of other snapshots in the scope.

    `snapshots` are all snapshots in the scope. Files of other programs stay. Raises ConfigurationError, after
    processing all files, if some could not be written or deleted.
    """
    failures, published = [], set()
    for snapshot in snapshots:
        name = file_name(snapshot.user_id, snapshot.group_slug)
        published.add(name)
        text = json.dumps(snapshot.to_dict(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        try:
            replace_file(directory / name, text.encode())
        except OSError as error:
            failures.append(f"{name} cannot be written: {error.strerror}")
    for path in directory.iterdir():
        if path.name not in published and _is_in_scope(path.name, scope):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                failures.append(f"{path.name} cannot be deleted: {error.strerror}")
    if failures:
        raise ConfigurationError(f"{len(failures)} files in --output-dir are not up to date, the first: {failures[0]}")


def _is_in_scope(name: str, scope: Scope) -> bool:
    """Whether file_name() returns this name for a snapshot in the scope; similar names belong to other programs."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] != str(user_id := int(match[1])) or not -(2**63) <= user_id < 2**63:
        return False
    if match[2].startswith("~"):
        # The slug cannot be recovered from its digest.
        if scope.group_slugs is None:
            return scope.user_ids is None or user_id in scope.user_ids
        return any(scope.covers(user_id, slug) and name == file_name(user_id, slug) for slug in scope.group_slugs)
    group_slug = urllib.parse.unquote(match[2])
    return "\0" not in group_slug and name == file_name(user_id, group_slug) and scope.covers(user_id, group_slug)


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of the file atomically, if it differs; raises OSError."""
    if path.is_file() and path.read_bytes() == content:
        return
    fresh = path.with_name(f".{os.getpid()}.tmp")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
