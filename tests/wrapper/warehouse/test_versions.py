"""The same source data gives the same rows and hashes on every server, in every locale, and in place."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.rules.test_rows import awkward_whiteballoon, exported
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon

_C = "locale_provider libc locale 'C'"
_UTF8 = "locale_provider libc locale 'C.UTF-8'"
_ICU = "locale_provider icu icu_locale 'tr-TR' locale 'C.UTF-8'"
_BUILTIN = "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
# The wheel's servers have neither ICU nor, apart from 18's built-in one, more locales than these.
LOCALES = {"15": [_C, _UTF8, _ICU], "16": [_C, _UTF8], "17": [_C, _UTF8, _ICU, _BUILTIN], "18": [_C, _BUILTIN]}


def test_rows_and_hashes_are_the_same_on_every_server_in_every_locale(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, any_server: Server
) -> None:
    expected = awkward_whiteballoon(whiteballoon)
    for locale in LOCALES[any_server.version]:
        # Always the same name, since dbt parses again for another one.
        options = f"encoding 'UTF8' template template0 {locale}"
        wrapper.environ["WAREHOUSE_URL"] = any_server.create_database("locale", options)
        entry = wrapper.snapshot("--all")
        assert exported(wrapper) == expected
        assert entry["snapshots_digest"] == digest_of(expected)


def digest_of(rows: list[dict[str, Any]]) -> str:
    """Return the digest of the rows' hashes, using only the standard library."""
    hashes = sorted(hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest() for row in rows)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def test_whiteballoon_on_postgres_is_read_in_place_with_the_same_hashes(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, any_server: Server
) -> None:
    expected = awkward_whiteballoon(whiteballoon)
    url = any_server.create_database("in_place")
    wrapper.read_in_place(whiteballoon, url)
    wrapper.environ["DATABASE_URL"] = url.replace("postgresql:", "postgresql+psycopg:")
    result = wrapper.succeed("snapshot", "--all", "--json")
    assert json.loads(result.stdout)["snapshots_digest"] == digest_of(expected)
    assert result.stderr.splitlines()[0] == (
        "warning: WB_SCHEMA: there is no table wb.user_profile_highlights, which is taken as empty"
    )
    assert exported(wrapper) == expected

    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select table_schema, count(*) from information_schema.tables where table_schema = 'wb' group by 1"
        )
        assert cursor.fetchall() == [("wb", 3)]
        # Nothing of this project depends on WhiteBalloon's tables, so its migrations are not blocked.
        cursor.execute("alter table wb.request_comments alter column body type text")
        cursor.execute("drop table wb.help_requests")
    connection.close()
    missing = wrapper("snapshot", "--all")
    assert missing.code == 2
    assert missing.stderr.splitlines()[-1] == (
        "wrapper: WB_SCHEMA: the warehouse has no table wb.help_requests: is WhiteBalloon in this database and schema?"
    )


def test_run_with_a_failing_data_test_keeps_the_published_rows_as_they_were(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]
) -> None:
    """Only a WhiteBalloon on Postgres without its keys could have two comments with one id."""
    awkward_whiteballoon(whiteballoon)
    url = make_database()
    wrapper.read_in_place(whiteballoon, url)
    wrapper.snapshot("--all")
    before = exported(wrapper)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("insert into wb.request_comments select * from wb.request_comments where id = 1")
    connection.close()
    result = wrapper("snapshot", "--all")
    assert result.code == 1
    assert result.stderr.splitlines()[-1].startswith(
        "wrapper: data test candidates_are_memberships_with_comments failed on "
    )
    assert exported(wrapper) == before
    entry: dict[str, Any] = wrapper.log()[-1]
    assert (entry["status"], entry["generated"]) == ("failed", None)
    assert entry["error"].endswith("; the published snapshots are as they were")


@pytest.mark.parametrize("schema", ["signal_profiles_source", "signal_profiles_intermediate"])
def test_wb_schema_that_the_project_writes_to_is_refused(wrapper: Wrapper, schema: str) -> None:
    result = wrapper("load", DATABASE_URL=wrapper.environ["WAREHOUSE_URL"], WB_SCHEMA=schema)
    assert result.code == 2
    assert result.stderr == (
        f"wrapper: WB_SCHEMA {schema!r} is one that this project writes to: set another WAREHOUSE_SCHEMA\n"
    )
