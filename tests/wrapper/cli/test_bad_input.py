"""Bad input gives one line that names it and a documented exit code, and changes nothing."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.cli import cli

USE_A_URL = "use sqlite:///path or postgresql://user:password@host/database"
ENCODED = "@ : / ? and # in the user or the password as %40 %3A %2F %3F and %23"
USE_LETTERS = "use up to 40 lower-case letters, digits and _, no pg_ in front"


def one_line(wrapper: Wrapper, *arguments: str, **environ: str) -> str:
    """Run the wrapper, which must exit with 2 and print one line; warnings may come before it."""
    result = wrapper(*(arguments or ("snapshot", "--all")), **environ)
    assert result.code == 2, result.stderr
    assert result.stdout == ""
    *warnings, line = result.stderr.splitlines()
    assert all(warning.startswith("warning: ") for warning in warnings)
    return line.removeprefix("wrapper: ")


def misused(wrapper: Wrapper, *arguments: str) -> str:
    """Run the wrapper, which must exit with 2, print one line and name the command's help; return that line."""
    result = wrapper(*arguments)
    assert (result.code, result.stdout) == (2, "")
    line, hint = result.stderr.splitlines()
    command = " ".join(["wrapper", *arguments[: 1 if arguments[0] in cli.commands else 0]])
    assert hint == f"Try '{command} --help' for help."
    return line.removeprefix("wrapper: ")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"DATABASE_URL": "sqlite:///nowhere.db"}, "DATABASE_URL: nowhere.db does not exist"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL names no file: write it as sqlite:///path/to/app.db"),
        (
            {"DATABASE_URL": "mysql://u:secret@h/d"},
            "DATABASE_URL begins with 'mysql': only sqlite:/// and postgresql:// will do here",
        ),
        ({"DATABASE_URL": "secret"}, f"DATABASE_URL is not a database URL: {USE_A_URL}"),
        ({"WAREHOUSE_URL": "sqlite:///x"}, "WAREHOUSE_URL begins with 'sqlite': only postgresql:// will do here"),
        ({"WAREHOUSE_URL": "postgresql://h/d?x=y"}, "WAREHOUSE_URL: invalid URI query parameter 'x'"),
        ({"WAREHOUSE_SCHEMA": "a'); drop"}, f"WAREHOUSE_SCHEMA \"a'); drop\" will not do: {USE_LETTERS}"),
        ({"WAREHOUSE_SCHEMA": "a" * 41}, f"WAREHOUSE_SCHEMA '{'a' * 41}' will not do: {USE_LETTERS}"),
        ({"WAREHOUSE_URL": "postgresql://u:pa@ss@h/d"}, f"WAREHOUSE_URL: write {ENCODED}"),
        ({"STATSD_PORT": "eighty"}, "STATSD_PORT must be a port from 1 to 65535, not 'eighty'"),
        (
            {"PROFILE_SIGNAL_GLAZE": "enabled"},
            "PROFILE_SIGNAL_GLAZE must be 1, true, on or yes, or 0, false, off or no, not 'enabled'",
        ),
    ],
)  # fmt: skip
def test_run_with_a_bad_setting_prints_one_line_and_logs_it(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, environ: dict[str, str], line: str
) -> None:
    assert one_line(wrapper, **environ) == line
    assert [(entry["status"], entry["error"]) for entry in wrapper.log()] == [("failed", line)]


def test_whiteballoon_setting_that_differs_between_env_file_and_environment_warns(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    whiteballoon.group(1)
    (wrapper.cwd / ".env").write_text("PROFILE_SIGNAL_GLAZE=on\nSTATSD_PORT=9\nWAREHOUSE_SCHEMA=other\nSTATSD_HOST=a\n")
    result = wrapper(
        "snapshot", "--all", PROFILE_SIGNAL_GLAZE="off", STATSD_PORT="9", WAREHOUSE_SCHEMA="b", STATSD_HOST=""
    )
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        f"warning: {name} is set to different values in .env and in the environment: "
        "this run uses that of the environment, and WhiteBalloon that of .env"
        for name in ("PROFILE_SIGNAL_GLAZE", "STATSD_HOST")
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["snapshot"], "give --all, --user ID|@NAME or --group-slug SLUG"),
        (["snapshot", "--all", "--user", "1"], "--all and --user exclude each other: give one of them"),
        (["snapshot", "--user", "one"], "Invalid value for '--user': 'one' is neither an id nor @ and a name"),
        (["snapshot", "--user", str(2**63)], f"--user {2**63} is not an id: ids are integers of 64 bits"),
        (["snapshot", "--all", "--wait", "-1"], "Invalid value for '--wait': -1 is not in the range x>=0."),
        (["snapshot", "--everything"], "No such option '--everything'."),
        (["snapshot", "--rebuidl"], "No such option '--rebuidl'. Did you mean '--rebuild'?"),
        (["polish"], "No such command 'polish'."),
        (["snapshto"], "No such command 'snapshto'. Did you mean 'snapshot'?"),
        (["snapshot", "--all", "--group-slug", "\udcff"], "--group-slug is not valid UTF-8"),
        (["snapshot", "--all", "--output-dir", "data/app.db"],
            "Invalid value for '--output-dir': Directory 'data/app.db' is a file."),
    ],
)  # fmt: skip
def test_usage_error_names_what_is_wrong_and_the_commands_help(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, arguments: list[str], line: str
) -> None:
    assert misused(wrapper, *arguments) == line


def test_db_url_without_a_running_server_names_db_start(wrapper: Wrapper) -> None:
    line = one_line(wrapper, "db", "url")
    assert line == "the embedded Postgres is not running: start it with wrapper db start"


@pytest.mark.parametrize("slug", ["unknown", "g'; drop table x; --", "{{ 1 }}", "g\n", "\\", "%s", "%(x)s"])
def test_group_slug_that_is_unknown_is_named_before_anything_is_built(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, slug: str
) -> None:
    whiteballoon.group(1)
    line = one_line(wrapper, "snapshot", "--group-slug", slug)
    assert line == f"--group-slug {slug!r} has neither a membership nor a published snapshot"
    assert not list(wrapper.cwd.glob("storage/dbt/*/*/run"))


def test_sqlite_file_that_is_not_whiteballoons_is_named_with_the_reason(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("not a database at all, " * 100)
    assert one_line(wrapper, DATABASE_URL="sqlite:///text.db") == "DATABASE_URL: text.db: this is not a SQLite database"
    sqlite3.connect(tmp_path / "other.db").execute("create table t (x)")
    line = one_line(wrapper, DATABASE_URL="sqlite:///other.db")
    assert line == "DATABASE_URL: other.db has no table user_attributes: is it a WhiteBalloon database?"
    sqlite3.connect(tmp_path / "half.db").execute("create table user_attributes (id, user_id)")
    line = one_line(wrapper, DATABASE_URL="sqlite:///half.db")
    assert line == ("DATABASE_URL: half.db: table user_attributes has no column key: is it a WhiteBalloon database?")
    assert one_line(wrapper, DATABASE_URL="sqlite:///data") == "DATABASE_URL: data is not a file"
    long = "x" * 300
    line = one_line(wrapper, DATABASE_URL=f"sqlite:///{long}")
    assert line == f"DATABASE_URL: {long} cannot be read: File name too long"
    line = one_line(wrapper, COMMENT_INSIGHTS_DB="text.db")
    assert line == "COMMENT_INSIGHTS_DB: text.db: this is not a SQLite database"


def test_warehouse_that_cannot_be_used_gives_the_reason_without_the_password(
    wrapper: Wrapper, server: Server, whiteballoon: WhiteBalloon
) -> None:
    good = wrapper.environ["WAREHOUSE_URL"]
    unreachable = one_line(wrapper, WAREHOUSE_URL="postgresql://u:secret@127.0.0.1:9/d")
    assert unreachable.startswith("the warehouse cannot be reached, see WAREHOUSE_URL: connection to server")
    assert "secret" not in unreachable
    stranger = one_line(wrapper, WAREHOUSE_URL=good.replace("postgres@", "stranger@"))
    assert stranger.endswith('FATAL: role "stranger" does not exist')
    latin = server.create_database("latin", "encoding 'LATIN1' template template0 locale_provider libc locale 'C'")
    assert one_line(wrapper, WAREHOUSE_URL=latin) == (
        "the warehouse's database 'latin' is LATIN1: use one whose encoding is UTF8"
    )


def test_password_that_is_wrong_is_reported_with_the_user_name(
    wrapper: Wrapper, server: Server, whiteballoon: WhiteBalloon
) -> None:
    hba = server.embedded.data_dir / "pg_hba.conf"
    trusting = hba.read_text()
    hba.write_text("local all locked scram-sha-256\n" + trusting)
    admin = psycopg2.connect(server.url("postgres"))
    admin.autocommit = True
    try:
        admin.cursor().execute("create role locked login password 'right'")
        admin.cursor().execute("select pg_reload_conf()")
        url = wrapper.environ["WAREHOUSE_URL"]
        line = one_line(wrapper, WAREHOUSE_URL=url.replace("postgres@", "locked:wrong@"))
    finally:
        hba.write_text(trusting)
        admin.cursor().execute("select pg_reload_conf()")
        admin.cursor().execute("drop role locked")
        admin.close()
    assert line.endswith('FATAL: password authentication failed for user "locked"')


def test_schema_without_write_permission_is_named_with_the_user(
    wrapper: Wrapper, server: Server, make_database: Callable[[], str], whiteballoon: WhiteBalloon
) -> None:
    url = make_database()
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("create role guest login")
        cursor.execute("create schema signal_profiles")
    connection.close()
    line = one_line(wrapper, WAREHOUSE_URL=url.replace("postgres@", "guest@"))
    assert line.startswith("user 'guest' may not write to schema 'signal_profiles' of the warehouse: grant it")


def test_storage_dir_that_is_a_file_is_refused_by_name(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
    shutil.rmtree(wrapper.cwd / "storage")
    (wrapper.cwd / "storage").write_text("a file in its place")
    assert one_line(wrapper) == "STORAGE_DIR: storage/signal_profile_snapshot.log cannot be written: File exists"


def test_output_dir_below_a_file_is_refused_by_name(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
    (wrapper.cwd / "out").write_text("a file in its place")
    line = one_line(wrapper, "snapshot", "--all", "--output-dir", "out/deeper")
    assert line == "--output-dir out/deeper cannot be written: Not a directory"


def test_env_file_yields_to_the_environment_and_its_mistakes_are_named(
    wrapper: Wrapper, whiteballoon: WhiteBalloon
) -> None:
    env = wrapper.cwd / ".env"
    env.write_text("DATABASE_URL=sqlite:///from-file.db\n")
    assert one_line(wrapper) == "DATABASE_URL: from-file.db does not exist"
    assert one_line(wrapper, DATABASE_URL="sqlite:///from-env.db") == "DATABASE_URL: from-env.db does not exist"
    env.write_text('STATSD_HOST=${HOME}\nDATABASE_URL="sqlite:///x\n')
    assert one_line(wrapper) == ".env in the working directory: line 2 is no NAME=value"
    env.write_bytes(b"A=\xff\n")
    assert one_line(wrapper).startswith(".env in the working directory cannot be read: ")
