"""`wrapper load` copies rows into the warehouse, or fails and leaves the warehouse as it was."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.cli.test_bad_input import one_line
from tests.wrapper.conftest import WRAPPER, Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

# A body without a marker stays in WhiteBalloon.
MARKER = "https://"


def bodies(warehouse: Connection) -> list[str]:
    return [row[0] for row in query(warehouse, "select body from signal_profiles_source.request_comments order by id")]


def test_bodies_with_a_marker_are_loaded_unchanged(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    marked = [
        f"{MARKER}{text}"
        for text in ("", "a\tb\nc\rd\\e", "\\N", "\\.", 'it\'s "quoted", {{ 1 }} %s', "é漢字😀", "\ufffd", "\x01\x7f")
    ]
    large = [f"{MARKER}{'x' * 3_000_000}", f"{MARKER}end"]
    for body in marked + large:
        whiteballoon.comment(1, body)
    result = wrapper.succeed("load")
    assert bodies(warehouse) == marked + large
    assert "warning" not in result.stderr


def test_body_without_a_marker_stays_in_whiteballoon(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    marked = ["https://example.org", "(Reactions: B 😂)", "[attachments: a.png]", "x (Reactions: y"]
    for body in [*marked, "a secret", "(reactions: B 😂)", "[attachments:a.png]", "https:/example.org", ""]:
        whiteballoon.comment(1, body)
    wrapper.succeed("load")
    assert bodies(warehouse) == [*marked, "", "", "", "", ""]


def test_text_that_postgres_cannot_hold_is_replaced_and_counted(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    whiteballoon.execute("insert into help_requests (id, title) values (1, cast(x'47ff' as text))")
    for raw in (b"://a\0b\0", b"://caf\xe9", b"://\xed\xa0\x80", "://fine \ufffd".encode(), b"not sent \xff"):
        whiteballoon.execute(
            "insert into request_comments (help_request_id, user_id, body, created_at) "
            "values (1, 1, cast(? as text), '2024-01-01 00:00:00')",
            raw,
        )
    whiteballoon.comment(1, "x", tags=['["a\0"]', None, "\0"])
    result = wrapper.succeed("load")
    assert bodies(warehouse)[:4] == ["://a\ufffdb\ufffd", "://caf\ufffd", "://\ufffd\ufffd\ufffd", "://fine \ufffd"]
    assert query(warehouse, "select title from signal_profiles_source.help_requests") == [("G\ufffd",)]
    tags = "select resource_tags, resource_tags_json, tags, tags_json from signal_profiles_source.comment_llm_analyses"
    assert query(warehouse, tags) == [('["a\ufffd"]', ["a\ufffd"], "\ufffd", None)]
    held = "held NUL or invalid UTF-8, replaced by U+FFFD"
    assert result.stderr.splitlines() == [
        f"warning: DATABASE_URL: data/app.db: table help_requests: 1 values {held}",
        f"warning: DATABASE_URL: data/app.db: table request_comments: 3 values {held}",
        f"warning: COMMENT_INSIGHTS_DB: data/comment_llm_insights.db: table comment_llm_analyses: 2 values {held}",
        "loaded, rows per table:",
        "           0  user_attributes",
        "           1  help_requests",
        "           6  request_comments",
        "           0  user_profile_highlights",
        "           1  comment_llm_analyses",
    ]


TAGS: list[tuple[str, list[str | None] | None]] = [
    ('["a", " b "]', ["a", " b "]),
    (' \t\r\n["a"]\n', ["a"]),
    ('["\\u0000", "\\ud800", "\\ud83d\\ude00", "\\udc00\\ud800"]', ["\ufffd", "\ufffd", "😀", "\ufffd\ufffd"]),
    ('["a", 1, 1.5, true, null, {"b": ["c"]}]', ["a", None, None, None, None, None]),
    (f'["a", {"9" * 5000}, 1e999999]', ["a", None, None]),
    ("[]", []),
    ("[" * 100_000 + "]" * 100_000, []),
    (f'["a", {"[" * 499}{"]" * 499}]', ["a", None]),
    (f'["a", {"[" * 500}{"]" * 500}]', []),
    (json.dumps(["[" * 1000]), ["[" * 1000]),
    ('["' + "[" * 1000, None),
    ("[" * 501 + '"' + '\\"' * 500_000, []),
    ('["a",]', None),
    ("['a']", None),
    ("[NaN]", None),
    ('["a"] b', None),
    ('["a\nb"]', None),
    ('\x0b["a"]', None),
    ('\ufeff["a"]', None),
    ('{"a": "b"}', None),
    ('"a"', None),
    ("", None),
]


def test_tag_column_whose_text_is_a_json_array_is_loaded_as_an_array(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    for text, _ in TAGS:
        whiteballoon.comment(1, "x", tags=[None, text, None])
    wrapper.succeed("load")
    select = (
        "select request_tags, request_tags_json from signal_profiles_source.comment_llm_analyses order by comment_id"
    )
    assert query(warehouse, select) == TAGS


@pytest.mark.parametrize(
    ("table", "column", "value", "complaint"),
    [
        ("request_comments", "created_at", "yesterday", "is not a timestamp like 2024-03-18 12:00:00"),
        ("request_comments", "created_at", "2024-02-30 00:00:00", "is not a timestamp that exists"),
        ("request_comments", "created_at", "2024-03-18 12:00:00+02:00", "is not a timestamp like 2024-03-18 12:00:00"),
        ("request_comments", "created_at", "2024-03-18 24:00:00", "is not a timestamp that exists"),
        ("request_comments", "created_at", "0000-03-18 12:00:00", "is not a timestamp that exists"),
        (
            "request_comments",
            "created_at",
            "2024-03-18 12:00:00.1234567",
            "is not a timestamp like 2024-03-18 12:00:00",
        ),
        ("request_comments", "created_at", 1710763200, "is not a timestamp like 2024-03-18 12:00:00"),
        ("request_comments", "deleted_at", "", "is not a timestamp like 2024-03-18 12:00:00"),
        ("request_comments", "user_id", "ana", "is not an integer"),
        ("request_comments", "user_id", 1.5, "is not an integer"),
        ("request_comments", "body", b"blob", "is not text"),
        ("user_profile_highlights", "is_stale", 2, "is neither 0 nor 1"),
    ],
)
def test_value_that_does_not_fit_its_column_is_named_and_changes_nothing(
    wrapper: Wrapper,
    whiteballoon: WhiteBalloon,
    warehouse: Connection,
    table: str,
    column: str,
    value: object,
    complaint: str,
) -> None:
    whiteballoon.comment(1, f"{MARKER}before")
    whiteballoon.execute("insert into user_profile_highlights (user_id, is_stale, manual_override) values (1, 0, 0)")
    wrapper.succeed("load")
    whiteballoon.execute("update request_comments set body = 'https://after'")
    whiteballoon.execute(f"update {table} set {column} = ?", value)
    key = "user_id" if table == "user_profile_highlights" else "id"
    assert one_line(wrapper, "load") == (
        f"DATABASE_URL: data/app.db: table {table}, row {key} 1, column {column}: the value {complaint}; "
        "correct it in WhiteBalloon"
    )
    assert bodies(warehouse) == [f"{MARKER}before"]


def test_load_with_a_missing_value_or_a_duplicate_key_names_the_table(wrapper: Wrapper, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    app = sqlite3.connect(tmp_path / "data" / "app.db", isolation_level=None)
    app.execute("create table user_attributes (id, user_id, key, value)")
    app.execute("create table help_requests (id, title)")
    app.execute("create table request_comments (id, help_request_id, user_id, body, created_at, deleted_at)")
    app.execute("insert into user_attributes values (7, null, 'k', 'v')")
    missing = "DATABASE_URL: data/app.db: table user_attributes, row id 7, column user_id: the value is missing; "
    assert one_line(wrapper, "load") == missing + "correct it in WhiteBalloon"
    app.execute("update user_attributes set user_id = 1")
    app.execute("insert into user_attributes select * from user_attributes")
    assert one_line(wrapper, "load") == "DATABASE_URL: data/app.db: table user_attributes has two rows with one id"


def test_optional_tables_that_are_absent_are_empty_with_one_warning_each(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    whiteballoon.execute("drop table user_profile_highlights")
    whiteballoon.analyses.close()
    whiteballoon.analyses_path.unlink()
    assert wrapper.succeed("load").stderr.splitlines()[:3] == [
        "warning: DATABASE_URL: data/app.db has no table user_profile_highlights, which is taken as empty",
        "warning: COMMENT_INSIGHTS_DB: data/comment_llm_insights.db does not exist, so no snapshot has tags",
        "loaded, rows per table:",
    ]
    for table in ("user_profile_highlights", "comment_llm_analyses"):
        assert query(warehouse, f"select count(*) from signal_profiles_source.{table}") == [(0,)]


def test_load_while_whiteballoon_writes_sees_one_moment(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    """WhiteBalloon adds a request and its comment in one transaction, so a load must see both or neither."""
    whiteballoon.execute("pragma journal_mode=wal")
    script = """
import sqlite3, sys, time
app = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
print("writing", flush=True)
for number in range(10, 100_000):
    app.executescript(f'''
        begin immediate;
        insert into help_requests (id, title) values ({number}, 'T');
        insert into request_comments (id, help_request_id, user_id, body, created_at)
            values ({number}, {number}, 1, 'x', '2024-01-01 00:00:00');
        commit;
    ''')
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, whiteballoon.app_path], stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            seen = []
            for _ in range(3):
                wrapper.succeed("load")
                seen += query(
                    warehouse,
                    """
                    select (select max(id) from signal_profiles_source.help_requests),
                           (select max(id) from signal_profiles_source.request_comments)
                    """,
                )
        finally:
            writer.kill()
    assert all(requests == comments for requests, comments in seen)
    assert len(set(seen)) == 3


def test_load_with_rows_only_in_the_wal_reads_them(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    whiteballoon.comment(1, "x", tags=["only in the WAL", None, None])
    assert b"only in the WAL" not in whiteballoon.analyses_path.read_bytes()
    wrapper.succeed("load")
    assert query(warehouse, "select resource_tags from signal_profiles_source.comment_llm_analyses") == [
        ("only in the WAL",)
    ]


def test_wal_database_in_a_read_only_directory_is_refused_with_the_remedy(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, tmp_path: Path
) -> None:
    """Root can write everywhere, so as root the test runs as another user in a user namespace."""
    (tmp_path / "locked").mkdir()
    path = tmp_path / "locked" / "analyses.db"
    analyses = sqlite3.connect(path)
    analyses.execute("pragma journal_mode=wal")
    analyses.execute("create table comment_llm_analyses (comment_id integer primary key)")
    analyses.close()
    path.parent.chmod(0o555)
    prefix = [] if os.geteuid() else ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    try:
        done = subprocess.run(
            [*prefix, WRAPPER, "load"],
            cwd=tmp_path,
            env={**os.environ, **wrapper.environ, "COMMENT_INSIGHTS_DB": "locked/analyses.db"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.parent.chmod(0o755)
    assert done.returncode == 2
    assert done.stderr == (
        "wrapper: COMMENT_INSIGHTS_DB: locked/analyses.db: the database is in WAL mode, and reading it requires write "
        f"permission on {path.parent}: run as WhiteBalloon's user, or grant it\n"
    )


def test_sqlite_file_that_stays_locked_is_refused(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wrapper.errors import ConfigurationError
    from wrapper.nightly import sqlite_source

    monkeypatch.setattr(sqlite_source, "_BUSY_SECONDS", 0)
    whiteballoon.execute("begin exclusive")
    with (
        pytest.raises(ConfigurationError, match="another program has kept it locked for 0 seconds: try again later"),
        sqlite_source.open_sqlite("DATABASE_URL", whiteballoon.app_path),
    ):
        pass
