"""User names are read from WhiteBalloon when they are asked for, and stored nowhere."""

import contextlib
import json
from collections.abc import Callable

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.errors import ConfigurationError
from wrapper.nightly.people import read_names
from wrapper.reading.members import Member, read_members
from wrapper.settings import read_settings

NAME = "Zyxwv"


@pytest.fixture
def named(whiteballoon: WhiteBalloon) -> WhiteBalloon:
    """Users 1 and 2 in a group; the name of user 1 occurs nowhere else."""
    whiteballoon.group(1, 2)
    whiteballoon.execute("insert into users values (1, ?), (2, 'other')", NAME)
    for user_id in (1, 2):
        whiteballoon.comment(user_id, "hello")
    return whiteballoon


def test_snapshot_of_users_by_name_logs_their_ids_only(wrapper: Wrapper, named: WhiteBalloon) -> None:
    refused = wrapper("snapshot", "--user", f"@{NAME}", "--user", f"@{NAME.lower()}", "--user", "@nobody")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"wrapper: --user @{NAME.lower()}, --user @nobody: WhiteBalloon has no user of that name\n"
    )
    [line] = wrapper.log()
    assert (line["status"], line["error"]) == ("refused", "WhiteBalloon has no user of a name that was given")

    done = wrapper.succeed("snapshot", "--user", f"@{NAME}", "--user", "1", "--json")
    assert json.loads(done.stdout)["user_ids"] == [1]
    assert [line["snapshot"]["user_id"] for line in wrapper.export("--user", f"@{NAME}")] == [1]
    stored = [path for path in (wrapper.cwd / "storage").rglob("*") if path.is_file()]
    assert [path for path in stored if NAME.encode().lower() in path.read_bytes().lower()] == []
    assert NAME not in done.stdout + done.stderr


def test_names_are_shown_only_with_the_names_option(example: Wrapper) -> None:
    by_id, by_name = (example.succeed("show", user).stdout for user in ("1", "@member1"))
    assert by_id == by_name
    assert "member1" not in by_id
    assert example.succeed("show", "@member1", "--names").stdout == by_id.replace("user 1 i", "user 1 (@member1) i")
    [card, *_] = json.loads(example.succeed("show", "1", "--names", "--json").stdout)
    assert card["user_name"] == "member1"
    for arguments, shown in (([], False), (["--names"], True)):
        example.succeed("report", "--output", "names.html", *arguments)
        page = (example.cwd / "names.html").read_text()
        assert ("<bdi>1 @member1</bdi>" in page) is shown
        assert ("@member" in page) is shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "@nobody"], "USER @nobody: WhiteBalloon has no user of that name"),
        (["export", "--user", "@nobody"], "--user @nobody: WhiteBalloon has no user of that name"),
        (["members", "--group-slug", "nope"], "--group-slug 'nope' has no members"),
    ],
)
def test_unknown_name_or_group_is_refused_with_one_line(example: Wrapper, arguments: list[str], complaint: str) -> None:
    result = example(*arguments)
    assert (result.code, result.stdout, result.stderr) == (2, "", f"wrapper: {complaint}\n")


def test_show_with_names_of_an_unreadable_whiteballoon_fails_with_one_line(example: Wrapper) -> None:
    result = example("show", "1", "--names", DATABASE_URL="sqlite:///absent.db")
    assert (result.code, result.stdout, result.stderr) == (2, "", "wrapper: DATABASE_URL: absent.db does not exist\n")


def test_members_are_listed_before_any_run(wrapper: Wrapper, named: WhiteBalloon) -> None:
    named.group(3, slug="a b", name="Other", request_id=2)
    named.member(1, "a b")
    named.member(9, "")
    lines = [line.split() for line in wrapper.succeed("members").stdout.splitlines()]
    assert lines == [
        ["user", "name", "groups"],
        ["1", f"@{NAME}", "g,", "a", "b"],
        ["2", "@other", "g"],
        ["3", "a", "b"],
    ]
    of_group = wrapper.succeed("members", "--group-slug", "a b").stdout.splitlines()
    assert [line.split()[0] for line in of_group] == ["user", "1", "3"]


def test_members_and_names_are_read_from_whiteballoon_on_postgres(make_database: Callable[[], str]) -> None:
    url = make_database()
    settings = read_settings({"DATABASE_URL": url, "WB_SCHEMA": "wb"})
    with contextlib.closing(psycopg2.connect(url)) as connection:
        with pytest.raises(ConfigurationError, match=r'^WB_SCHEMA: wb.users cannot be read: relation "wb.users" does'):
            read_names(settings, connection)
        query(
            connection,
            """
            create schema wb;
            create table wb.users (id integer, username varchar, password_hash varchar);
            insert into wb.users values (1, 'ana', 'x'), (2, 'bo', 'y');
            create table wb.user_attributes (id integer, user_id integer, key varchar, value varchar);
            insert into wb.user_attributes values (1, 1, 'signal_import_group:g', 'G'), (2, 2, 'nickname', 'b')
            """,
        )
        assert read_names(settings, connection) == {1: "ana", 2: "bo"}
        assert read_members(settings, connection, ()) == [Member(1, "ana", ["g"])]
