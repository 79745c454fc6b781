"""If WhiteBalloon is on Postgres, a locked or missing table and a warehouse in another database are reported."""

import time
from collections.abc import Callable

import psycopg2
import pytest

from tests.wrapper.cli.test_bad_input import one_line
from tests.wrapper.conftest import Wrapper
from tests.wrapper.whiteballoon import WhiteBalloon


@pytest.fixture
def in_place(wrapper: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]) -> Wrapper:
    """The wrapper over a WhiteBalloon on Postgres that has one member."""
    whiteballoon.group(1)
    url = make_database()
    wrapper.read_in_place(whiteballoon, url)
    return wrapper


def test_table_locked_by_a_whiteballoon_migration_is_named_by_run_and_doctor(in_place: Wrapper) -> None:
    url = in_place.environ["DATABASE_URL"]
    migration = psycopg2.connect(url)
    with migration.cursor() as cursor:
        cursor.execute("lock table wb.request_comments in access exclusive mode")
    result = in_place("snapshot", "--all", DATABASE_URL=f"{url}&options=-c%20lock_timeout%3D500")
    locked = "wb.request_comments, a table of WhiteBalloon's, is locked by another session, such as a migration"
    assert (result.code, result.stderr) == (1, f"wrapper: WB_SCHEMA: {locked}: run again when that has ended\n")
    started = time.monotonic()
    doctor = in_place("doctor")
    assert doctor.code == 2
    assert f"FIX  tables in place: WB_SCHEMA: {locked}" in doctor.stdout
    # A run would wait for a minute.
    assert time.monotonic() - started < 30
    migration.close()


def test_warehouse_in_another_database_than_whiteballoon_gives_a_warning(
    in_place: Wrapper, whiteballoon: WhiteBalloon, make_database: Callable[[], str]
) -> None:
    url = in_place.environ["DATABASE_URL"]
    other = make_database()
    whiteballoon.copy_to_postgres(other)
    nowhere = "postgresql://whiteballoon:secret@127.0.0.1:1/whiteballoon"
    for database, warehouse, warning in (
        (url, f"{url}&application_name=same", None),
        (url, other, "DATABASE_URL and WAREHOUSE_URL lead to different databases: "),
        (nowhere, other, "DATABASE_URL cannot be reached (connection to server "),
    ):
        warnings = in_place.succeed("load", DATABASE_URL=database, WAREHOUSE_URL=warehouse).stderr
        assert ("WAREHOUSE_URL" in warnings) == (warning is not None)
        assert f"warning: {warning or ''}" in warnings
        assert "secret" not in warnings
        shown = in_place("doctor", DATABASE_URL=database, WAREHOUSE_URL=warehouse).stdout
        found = {line.split(": ")[0].split(maxsplit=1)[1]: line for line in shown.splitlines()}
        assert "on Postgres, read at WAREHOUSE_URL" in found["WhiteBalloon"]
        assert found["tables in place"].startswith("ok " if warning is None else f"WARN tables in place: {warning}")


def test_load_in_place_without_a_required_table_names_it(in_place: Wrapper) -> None:
    line = one_line(in_place, "load", WB_SCHEMA="public")
    assert line == (
        "WB_SCHEMA: the warehouse has no table public.user_attributes: is WhiteBalloon in this database and schema?"
    )
