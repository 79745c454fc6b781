"""PostgreSQL 18 and 16 of the wheel, and others of the system's packages, each started as the wrapper starts its own.

POSTGRES_VERSIONS names those that the tests of versions run on; unless it does, the oldest and the newest.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from wrapper.warehouse.embedded import EmbeddedServer, bundled_programs

_LIBC = ("--locale=C.UTF-8",)
_BUNDLED = {"18": bundled_programs(), "16": bundled_programs().parents[1] / "pginstall" / "bin"}
_WANTED = os.environ.get("POSTGRES_VERSIONS", "15 18").split()
VERSIONS = {version: _BUNDLED.get(version, Path(f"/usr/lib/postgresql/{version}/bin")) for version in {*_WANTED, "18"}}


@dataclasses.dataclass
class Server:
    """A running server."""

    version: str
    embedded: EmbeddedServer

    def url(self, database: str) -> str:
        """Return a database's URL."""
        return self.embedded.url().replace("/postgres?", f"/{database}?")

    def create_database(self, name: str, options: str = "") -> str:
        """Create an empty database, `options` being what follows its name in SQL, and return its URL."""
        # A module's database, if its tests were dealt out in two parts.
        self.execute(f'drop database if exists "{name}" with (force)')
        self.execute(f'create database "{name}" {options}')
        return self.url(name)

    def rename_database(self, name: str, new_name: str) -> str:
        """Rename a database, replacing one of that name, and return its URL."""
        self.execute(f'drop database if exists "{new_name}" with (force)')
        self.execute(f'alter database "{name}" rename to "{new_name}"')
        return self.url(new_name)

    @contextlib.contextmanager
    def temporary_database(self, name: str, options: str = "") -> Iterator[str]:
        """Create a database as create_database() does, and drop it at the end even if sessions are still connected."""
        url = self.create_database(name, options)
        try:
            yield url
        finally:
            self.execute(f'drop database "{name}" with (force)')

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser."""
        connection = psycopg2.connect(self.embedded.url())
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()


@contextlib.contextmanager
def start_server(version: str, folder: Path) -> Iterator[Server]:
    """Start a server below the folder; skip the test where that version is not installed, which CI never may."""
    programs = VERSIONS[version]
    if not (programs / "initdb").exists():
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL {version} is required in CI: .ci/run installs it")
        pytest.skip(f"PostgreSQL {version} is not installed: on Debian, apt install postgresql-{version}")
    embedded = (
        EmbeddedServer(folder / "data", programs)
        if version == "18"
        else EmbeddedServer(folder / "data", programs, initdb_locale=_LIBC)
    )
    embedded.start(on_demand=False)
    try:
        running = Server(version, embedded)
        # What a killed process had written is there all the same.
        running.execute("alter system set fsync = off")
        running.execute("select pg_reload_conf()")
        yield running
    finally:
        embedded.stop()
