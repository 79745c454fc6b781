"""A small WhiteBalloon on SQLite, written with nothing of the project's own."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg2

_APP = """
create table users (id integer primary key, username varchar not null);
create table user_attributes (
    id integer primary key, user_id integer not null, key varchar not null, value varchar, created_at datetime
);
create table help_requests (id integer primary key, title varchar, description varchar, status varchar);
create table request_comments (
    id integer primary key, help_request_id integer not null, user_id integer not null, body varchar not null,
    sync_scope varchar, created_at datetime not null, deleted_at datetime
);
create table user_profile_highlights (
    user_id integer primary key, bio_text varchar, source_group varchar, snapshot_hash varchar,
    snapshot_last_seen_at datetime, stale_after datetime, is_stale boolean not null, manual_override boolean not null
);
"""
_ANALYSES = """
create table comment_llm_analyses (
    comment_id integer primary key, run_id varchar, help_request_id integer, summary varchar, resource_tags varchar,
    request_tags varchar, tags varchar, notes varchar, sentiment varchar, recorded_at varchar
);
"""
_ON_POSTGRES = """
create schema wb;
create table wb.user_attributes (id integer, user_id integer, key varchar, value varchar);
create table wb.help_requests (id integer, title varchar, description varchar);
create table wb.request_comments (
    id integer, help_request_id integer, user_id integer, body varchar, created_at timestamp, deleted_at timestamp
);
"""


class WhiteBalloon:
    """Two SQLite files: app.db, and comment_llm_insights.db in WAL mode."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.app_path = folder / "app.db"
        self.analyses_path = folder / "comment_llm_insights.db"
        self.app = sqlite3.connect(self.app_path, isolation_level=None)
        self.app.executescript(_APP)
        self.analyses = sqlite3.connect(self.analyses_path, isolation_level=None)
        self.analyses.execute("pragma journal_mode=wal")
        self.analyses.executescript(_ANALYSES)

    def member(self, user_id: int, slug: str = "g", name: str | None = "G") -> None:
        """Make a user a member of a group."""
        self.app.execute(
            "insert into user_attributes (user_id, key, value) values (?, ?, ?)",
            (user_id, f"signal_import_group:{slug}", name),
        )

    def request(self, request_id: int, title: str = "[Signal] G") -> None:
        """Add a request."""
        self.app.execute("insert into help_requests (id, title) values (?, ?)", (request_id, title))

    def comment(
        self,
        user_id: int,
        body: object,
        *,
        request_id: int = 1,
        at: object = "2024-03-18 12:00:00.000000",
        deleted_at: str | None = None,
        tags: Iterable[str | None] | None = None,
    ) -> int:
        """Add a comment, with an analysis where `tags` gives its three tag columns, and return its id."""
        row = self.app.execute(
            "insert into request_comments (help_request_id, user_id, body, created_at, deleted_at) "
            "values (?, ?, ?, ?, ?)",
            (request_id, user_id, body, at, deleted_at),
        )
        assert row.lastrowid is not None
        if tags is not None:
            self.analyses.execute(
                # SQLite gives the id of a deleted last comment to the next one.
                "insert or replace into comment_llm_analyses (comment_id, resource_tags, request_tags, tags) "
                "values (?, ?, ?, ?)",
                (row.lastrowid, *tags),
            )
        return row.lastrowid

    def group(self, *user_ids: int, slug: str = "g", name: str = "G", request_id: int = 1) -> None:
        """Make a group with one request and these members."""
        self.request(request_id, f"[Signal] {name}")
        for user_id in user_ids:
            self.member(user_id, slug, name)

    def execute(self, statement: str, *parameters: Any) -> None:
        """Run any statement on app.db."""
        self.app.execute(statement, parameters)

    def copy_to_postgres(self, url: str) -> None:
        """Copy its own tables to Postgres, as its own migration would; the analyses stay in SQLite."""
        connection = psycopg2.connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute(_ON_POSTGRES)
            for table, columns in (
                ("user_attributes", "id, user_id, key, value"),
                ("help_requests", "id, title"),
                ("request_comments", "id, help_request_id, user_id, body, created_at, deleted_at"),
            ):
                for row in self.app.execute(f"select {columns} from {table}"):
                    cursor.execute(f"insert into wb.{table} ({columns}) values %s", (row,))
        connection.close()
