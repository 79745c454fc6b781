"""What `wrapper doctor` finds when things are really broken."""

import os
import re
import socket
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.disks import SmallDisk
from tests.wrapper.reading.test_status import entry, write_log
from tests.wrapper.warehouse.test_lock import LOCK
from tests.wrapper.whiteballoon import WhiteBalloon

EVERYTHING = [
    "settings", "project", "storage", "last run", "vars", "flag", "WhiteBalloon", "analyses", "disk", "metrics",
    "warehouse", "resources", "tables in place", "contract", "losses", "last message", "clock", "lock",
]  # fmt: skip


def findings(wrapper: Wrapper, code: int, **environ: str) -> dict[str, str]:
    """Return each check's line; fail if the exit code or stderr is wrong."""
    result = wrapper("doctor", **environ)
    assert (result.code, result.stderr) == (code, "")
    lines = re.findall(r"^(ok  |WARN|FIX ) ([^:]+): (.*)$", result.stdout, re.MULTILINE)
    found = [verdict.strip() for verdict, _, _ in lines]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in ("ok", "WARN", "FIX") if verdict in found]
    assert result.stdout.splitlines()[len(lines) :] == [f"{len(lines)} checks: {', '.join(counts)}"]
    return {name: f"{verdict.strip()}: {text}" for verdict, name, text in lines}


def test_doctor_with_nothing_wrong_lists_every_check_and_creates_nothing(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    whiteballoon.group(1)
    (wrapper.cwd / ".env").write_text("WAREHOUSE_SCHEMA=elsewhere\nPROFILE_SIGNAL_GLAZE=on\n")
    found = findings(wrapper, 0)
    assert list(found) == EVERYTHING
    assert found["settings"] == (
        "ok: WAREHOUSE_URL from the environment, WAREHOUSE_SCHEMA from .env, "
        "PROFILE_SIGNAL_GLAZE from the environment, the others by default"
    )
    # It created nothing.
    assert query(warehouse, "select nspname from pg_namespace where nspname like 'elsewhere%'") == []
    assert found["last message"] == "ok: none was loaded yet"
    wrapper.snapshot("--all")
    found = findings(wrapper, 0)
    assert found["last run"].startswith("ok: success at ")
    assert found["last message"] == "ok: there is none"
    query(warehouse, f"select pg_advisory_lock({LOCK.replace('signal_profiles', 'elsewhere')})")
    assert findings(wrapper, 0)["lock"] == "ok: a run is on its way"


@pytest.mark.parametrize(
    ("environ", "name", "text"),
    [
        (
            {"PROFILE_SIGNAL_GLAZE": ""},
            "flag",
            "PROFILE_SIGNAL_GLAZE is off, so that runs publish nothing: set it to 1",
        ),
        ({"DATABASE_URL": "sqlite:///nope.db"}, "WhiteBalloon", "DATABASE_URL: {cwd}/nope.db does not exist"),
        ({"DATABASE_URL": "sqlite:///data/comment_llm_insights.db"}, "WhiteBalloon", "has no table user_attributes"),
        ({"COMMENT_INSIGHTS_DB": "data"}, "analyses", "COMMENT_INSIGHTS_DB: {cwd}/data is not a file"),
        (
            {"COMMENT_INSIGHTS_DB": "nope.db"},
            "analyses",
            "COMMENT_INSIGHTS_DB: {cwd}/nope.db does not exist: correct",
        ),
        ({"COMMENT_INSIGHTS_DB": "data/app.db/x"}, "analyses", "{cwd}/data/app.db/x cannot be read: Not a directory"),
        ({"STATSD_HOST": "nowhere.invalid"}, "metrics", "STATSD_HOST 'nowhere.invalid' cannot be resolved"),
        ({"STATSD_HOST": "a..b"}, "metrics", "STATSD_HOST 'a..b' cannot be resolved"),
        ({"WAREHOUSE_URL": "postgresql://x@127.0.0.1:1/x"}, "warehouse", "the warehouse cannot be reached"),
        (
            {"STORAGE_DIR": "data/app.db"},
            "storage",
            "STORAGE_DIR: {cwd}/data/app.db/signal_profile_snapshot.log cannot",
        ),
        ({"WAREHOUSE_SCHEMA": "pg_x"}, "settings", "WAREHOUSE_SCHEMA 'pg_x' will not do"),
    ],
)
def test_doctor_with_a_fault_says_what_to_fix(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, environ: dict[str, str], name: str, text: str
) -> None:
    whiteballoon.group(1)
    found = findings(wrapper, 2, **environ)
    assert found[name].startswith("FIX: ")
    assert text.format(cwd=wrapper.cwd) in found[name]
    # Without its directory the run log cannot be read either.
    alone = {"storage": ["storage", "last run"], "settings": ["settings", "all else"]}.get(name, [name])
    assert [other for other in found if found[other].startswith("FIX")] == alone


def test_doctor_with_whiteballoon_on_postgres_checks_tables_messages_and_contract(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    whiteballoon.copy_to_postgres(wrapper.environ["WAREHOUSE_URL"])
    wrapper.environ |= {"DATABASE_URL": wrapper.environ["WAREHOUSE_URL"], "WB_SCHEMA": "wb"}
    wrapper.snapshot("--all")
    found = findings(wrapper, 0)
    assert found["tables in place"] == "ok: those in the schema wb can be read"
    assert re.fullmatch(r"WARN: sent at 2024-03-18T12:00, \d+ days ago: .*", found["last message"])
    query(warehouse, "update wb.request_comments set created_at = timezone('utc', now()) - interval '13 days'")
    query(warehouse, "insert into wb.request_comments (id, created_at, deleted_at) values (99, now(), now())")
    assert re.fullmatch(r"ok: sent at [-0-9T:]+", findings(wrapper, 0)["last message"])
    query(warehouse, "update signal_profiles.signal_profile_contract set contract_version = 0")
    query(warehouse, "alter table wb.request_comments rename column body to text")
    query(warehouse, "alter table wb.request_comments rename column deleted_at to gone")
    found = findings(wrapper, 2)
    assert found["tables in place"].startswith("FIX: WB_SCHEMA: wb.request_comments cannot be read: column")
    assert "wrapper upgrade" in found["contract"]
    assert found["last message"].startswith("WARN: cannot be looked up: column")


def test_doctor_judges_the_last_run_by_real_runs_of_all_members(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
    whiteballoon.group(1)
    write_log(wrapper, entry(3) + entry(2, "failed", error="data test x failed"))
    assert re.fullmatch(r"FIX: it failed at [-0-9T:]+: data test x failed", findings(wrapper, 2)["last run"])
    for failure in (entry(1, "refused", error="x"), entry(1, "failed", error="x", dry_run=True)):
        write_log(wrapper, entry(3) + failure)
        assert findings(wrapper, 0)["last run"].startswith("ok: ")
    write_log(wrapper, entry(50, dry_run=True))
    assert findings(wrapper, 0)["last run"].startswith(
        "ok: no run of all members has published yet; the last one was success at "
    )
    write_log(wrapper, entry(40) + entry(1, group_slugs=["a"]))
    assert "no run of all members has published for 36 hours" in findings(wrapper, 2)["last run"]


def test_doctor_on_a_small_disk_says_how_much_room_is_needed(
    wrapper: Wrapper,
    whiteballoon: WhiteBalloon,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    whiteballoon.group(1)
    disk = SmallDisk(tmp_path / "storage", 50)
    request.addfinalizer(disk.close)
    result = disk.run(wrapper, "doctor")
    assert result.code == 2
    assert f"FIX  disk: 0.0 GiB free for {disk.folder}, and 1.0 may be needed: make room" in result.stdout
    # A run needs a copy of the largest file, and twice all files if the warehouse is here. This file has holes.
    os.truncate(whiteballoon.analyses_path, 2**30)
    assert "and 2.0 may be needed" in disk.run(wrapper, "doctor").stdout
    wrapper.environ["WAREHOUSE_URL"] = ""
    assert "and 4.0 may be needed" in disk.run(wrapper, "doctor").stdout


def test_doctor_when_the_warehouse_clock_is_wrong_says_by_how_much(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    """The warehouse's clock is wrong in this database: a function of the same name comes before Postgres's."""
    whiteballoon.group(1)
    database = query(warehouse, "select current_database()")[0][0]
    query(
        warehouse,
        "create function public.clock_timestamp() returns timestamptz language sql as"
        " $$ select pg_catalog.clock_timestamp() - interval '100 seconds' $$;"
        f' alter database "{database}" set search_path = public, pg_catalog',
    )
    assert re.fullmatch(
        r"FIX: the warehouse's is 1\d\d seconds apart from this machine's: set them by NTP",
        findings(wrapper, 2)["clock"],
    )


def test_doctor_when_the_warehouse_cannot_be_written_to_says_why(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, warehouse: Connection
) -> None:
    """Another role owns its tables, or it is read-only as a standby is, where commands that only read still work."""
    whiteballoon.group(1)
    whiteballoon.comment(1, "hello")
    wrapper.snapshot("--all")
    assert findings(wrapper, 0)["warehouse"].startswith("ok: PostgreSQL 18.")
    query(warehouse, "create role newcomer login")
    for schema in ("signal_profiles", "signal_profiles_source", "signal_profiles_intermediate"):
        query(warehouse, f"grant usage, create on schema {schema} to newcomer")
    url = wrapper.environ["WAREHOUSE_URL"]
    found = findings(wrapper, 2, WAREHOUSE_URL=url.replace("postgres@", "newcomer@"))
    assert found["warehouse"] == (
        "FIX: user 'newcomer' does not own signal_profiles.signal_profile_attachments, which a run replaces: "
        "make it the owner, as deploy/roles.sql does"
    )
    database = query(warehouse, "select current_database()")[0][0]
    query(warehouse, f'revoke temporary on database "{database}" from public')
    found = findings(wrapper, 2, WAREHOUSE_URL=url.replace("postgres@", "newcomer@"))
    assert found["warehouse"].startswith(
        "FIX: user 'newcomer' may not create temporary tables, which a run needs: grant"
    )
    query(warehouse, "drop owned by newcomer; drop role newcomer")

    query(warehouse, f'alter database "{database}" set default_transaction_read_only = on')
    complaint = "the warehouse is read-only: it is a standby, or default_transaction_read_only is on for it"
    assert findings(wrapper, 2)["warehouse"] == f"FIX: {complaint}"
    refused = wrapper("snapshot", "--all")
    assert (refused.code, refused.stderr) == (2, f"wrapper: {complaint}\n")
    assert wrapper.succeed("show", "1").stdout.startswith("user 1 in g\n")


def test_doctor_when_the_warehouse_never_answers_times_out(wrapper: Wrapper, whiteballoon: WhiteBalloon) -> None:
    whiteballoon.group(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://a@127.0.0.1:{silent.getsockname()[1]}/x"
        found = findings(wrapper, 2, WAREHOUSE_URL=url)
    assert "timeout expired" in found["warehouse"]
