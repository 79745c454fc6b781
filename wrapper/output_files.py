"""The files of --output-dir: one a snapshot, replaced atomically, left alone where nothing changed."""

import itertools
import json
import os
import re
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from wrapper.errors import ConfigurationError
from wrapper.scope import Scope
from wrapper.snapshot import SignalProfileSnapshot

_NAME = re.compile(r"(-?[0-9]+)-(.+)\.json")
_BATCH = 1000


def prepare(directory: Path) -> None:
    """Make the directory where it is missing.

    Raises ConfigurationError where it cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError(f"--output-dir {directory} cannot be written: {error.strerror}") from error


def file_name(user_id: int, group_slug: str) -> str:
    """Return a snapshot's file name: everything in the slug outside A-Z, a-z, 0-9, _, . and - percent-encoded."""
    # quote() leaves a tilde as it is, whatever is asked of it.
    slug = urllib.parse.quote(group_slug, safe="").replace("~", "%7E")
    return f"{user_id}-{slug}.json"


def write_files(directory: Path, snapshots: Iterable[SignalProfileSnapshot]) -> None:
    """Write a file for each snapshot whose content is not there yet.

    Raises ConfigurationError, after all others are written, where one cannot be.
    """
    failures = []
    for snapshot in snapshots:
        path = directory / file_name(snapshot.user_id, snapshot.group_slug)
        text = json.dumps(snapshot.to_dict(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        try:
            replace_file(path, text.encode())
        except OSError as error:
            failures.append(f"{path.name}: {error.strerror}")
    if failures:
        raise ConfigurationError(f"--output-dir lacks {len(failures)} of them, the first {failures[0]}")


def remove_stale_files(cursor: Cursor, directory: Path, published: sql.Identifier, scope: Scope) -> None:
    """Delete the files of snapshots in the scope that are no longer published; other files stay.

    Raises ConfigurationError where one cannot be deleted.
    """
    keys = _keys_of_files(directory, scope)
    while batch := list(itertools.islice(keys, _BATCH)):
        cursor.execute(
            sql.SQL(
                """
                select f.user_id, f.group_slug
                from unnest(%s::bigint[], %s::text[]) as f (user_id, group_slug)
                where not exists (
                    select from {} as p where p.user_id = f.user_id and p.group_slug = f.group_slug
                )
                """
            ).format(published),
            ([user_id for user_id, _ in batch], [group_slug for _, group_slug in batch]),
        )
        for user_id, group_slug in cursor.fetchall():
            path = directory / file_name(user_id, group_slug)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise ConfigurationError(f"{path.name} in --output-dir cannot be deleted: {error.strerror}") from error


def _keys_of_files(directory: Path, scope: Scope) -> Iterator[tuple[int, str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            key = _key(entry.name)
            if key is not None and scope.covers(*key):
                yield key


def _key(name: str) -> tuple[int, str] | None:
    """The key in a file name that is written here; a file that merely looks alike is not ours to delete."""
    match = _NAME.fullmatch(name)
    if match is None or "%00" in name:
        return None
    user_id, group_slug = int(match[1]), urllib.parse.unquote(match[2])
    written_here = name.isascii() and name == file_name(user_id, group_slug) and -(2**63) <= user_id < 2**63
    return (user_id, group_slug) if written_here else None


def replace_file(path: Path, content: bytes) -> None:
    """Give the file this content, atomically, where it has another; raises OSError."""
    if path.is_file() and path.read_bytes() == content:
        return
    fresh = path.with_name(f".{os.getpid()}.tmp")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
