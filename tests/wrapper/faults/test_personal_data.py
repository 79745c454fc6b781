"""No message, name or URL reaches an output, a log or a file of dbt, whether a run succeeds or fails."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.wrapper.conftest import Result, Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.warehouse.error_text import first_line

# This word is in every personal text.
MARK = "Zyxwv"
PUBLISHED = "signal_profiles.signal_profile_snapshots"


@pytest.fixture(scope="module")
def whiteballoon(tmp_path_factory: pytest.TempPathFactory) -> WhiteBalloon:
    folder = tmp_path_factory.mktemp("personal")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1, name=f"{MARK} group")
    whiteballoon.execute("insert into users values (1, ?)", f"{MARK} name")
    whiteballoon.comment(
        1,
        f"{MARK} says https://{MARK}.example/{MARK}\n\n[attachments: {MARK}.png]\n(Reactions: {MARK} ❤️)",
        tags=(f"{MARK} tag", None, None),
    )
    return whiteballoon


@pytest.fixture(scope="module")
def wrapper(whiteballoon: WhiteBalloon) -> Iterator[Wrapper]:
    """The wrapper after a successful run on the embedded server, which keeps running."""
    wrapper = Wrapper(whiteballoon.app_path.parents[1], {"PROFILE_SIGNAL_GLAZE": "1"})
    wrapper.environ["DATABASE_URL"] = f"sqlite:///{whiteballoon.app_path}"
    wrapper.environ["URL"] = wrapper.succeed("db", "start").stdout.strip()
    result = wrapper.succeed("snapshot", "--all", "--json")
    assert json.loads(result.stdout)["generated"] == 1
    assert quoted(wrapper, result) == []
    yield wrapper
    wrapper.succeed("db", "stop")


def quoted(wrapper: Wrapper, result: Result) -> list[str]:
    """Return where the mark is, in the outputs and in files below STORAGE_DIR, except the embedded server's tables."""
    places = {"stdout": result.stdout, "stderr": result.stderr}
    storage = wrapper.cwd / "storage"
    for path in storage.rglob("*"):
        if path.is_file() and (storage / "postgres" not in path.parents or path.suffix == ".log"):
            places[str(path)] = path.read_bytes().decode(errors="replace")
    # dbt's files and the server's log are among them.
    assert {Path(place).name for place in places} >= {
        "partial_parse.msgpack",
        "server.log",
        "signal_profile_snapshot.log",
    }
    return [place for place, text in places.items() if MARK.lower() in text.lower()]


@contextlib.contextmanager
def injected(wrapper: Wrapper, inject: str, undo: str) -> Iterator[None]:
    """Run a statement in the warehouse, and another one afterwards."""
    with contextlib.closing(psycopg2.connect(wrapper.environ["URL"])) as admin:
        admin.autocommit = True
        query(admin, inject)
        try:
            yield
        finally:
            query(admin, undo)


def on_insert(statement: str) -> tuple[str, str]:
    """A trigger on the published table that runs a statement for each row."""
    return (
        f"""
        create function public.fail() returns trigger language plpgsql as $$ begin {statement}; return new; end $$;
        create trigger fail before insert on {PUBLISHED} for each row execute function public.fail();
        """,
        "drop function public.fail() cascade",
    )


def on_create(tag: str, table: str, statement: str) -> tuple[str, str]:
    """An event trigger that runs a statement after a table of that name is created."""
    return (
        f"""
        create function public.change() returns event_trigger language plpgsql as $$ begin
            if exists (select from pg_event_trigger_ddl_commands() where object_identity like '%{table}') then
                {statement};
            end if;
        end $$;
        create event trigger change on ddl_command_end when tag in ('{tag}') execute function public.change();
        """,
        "drop event trigger change; drop function public.change()",
    )


FRESH = "signal_profiles_source.request_comments__fresh"
CANDIDATES = "signal_profiles_intermediate.int_snapshot_candidates__dbt_tmp"
FAILED_CAST = on_insert("perform (new.top_links -> 0 ->> 'url')::bigint")
VIOLATED_CHECK = (
    f"alter table {PUBLISHED} add constraint fail check (top_links::text not like '%{MARK.lower()}%') not valid",
    f"alter table {PUBLISHED} drop constraint fail",
)


@pytest.mark.parametrize(
    ("injection", "code", "said"),
    [
        (
            on_create("CREATE TABLE AS", CANDIDATES, f"update {CANDIDATES} set message_count = message_count + 1"),
            1,
            "data test candidates_",
        ),
        (
            on_create("CREATE TABLE", FRESH, f"alter table {FRESH} add constraint f check (body not like '{MARK}%')"),
            2,
            'the warehouse refused the load: new row for relation "request_comments__fresh" violates check',
        ),
        (
            on_create("CREATE TABLE", FRESH, f"alter table {FRESH} alter body type bigint using null"),
            2,
            "the warehouse refused the load: invalid input syntax for type bigint (InvalidTextRepresentation)",
        ),
    ],
    ids=["data test", "copy into a check", "copy into another type"],
)
def test_failing_run_names_the_cause_without_personal_data(
    wrapper: Wrapper, injection: tuple[str, str], code: int, said: str
) -> None:
    with injected(wrapper, *injection):
        result = wrapper("snapshot", "--all", "--rebuild")
    assert result.code == code
    assert said in result.stderr
    assert said in wrapper.log()[-1]["error"]
    assert quoted(wrapper, result) == []


def test_dbt_build_at_debug_level_writes_no_personal_data(wrapper: Wrapper, amount: Callable[[int, int], int]) -> None:
    """By default, a violated constraint prints the row."""
    injections = [(VIOLATED_CHECK, "violates check constraint"), (FAILED_CAST, "(InvalidTextRepresentation)")]
    for injection, said in injections[: amount(1, 2)]:
        with injected(wrapper, *injection):
            result = wrapper("dbt", "--debug", "--log-level-file", "debug", "build", "--selector", "nightly")
        assert result.code == 1
        assert said in result.stdout
        (results,) = wrapper.cwd.glob("storage/dbt/*/dbt/run_results.json")
        assert said in results.read_text()
        assert quoted(wrapper, result) == []
    if amount(0, 1):
        test_failing_run_names_the_cause_without_personal_data(
            wrapper, FAILED_CAST, 1, "invalid input syntax for type bigint (InvalidTextRepresentation)"
        )


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update request_comments set created_at = ?", "column created_at: the value is not a timestamp"),
        ("update request_comments set user_id = ?", "column user_id: the value is not an integer"),
        ("update request_comments set body = cast(? as blob)", "column body: the value is not text"),
        (
            "insert into help_requests values (?, null)",
            "row id that is not an integer, column id: the value is not",
        ),
    ],
)
def test_run_over_values_of_the_wrong_type_names_the_column_without_the_value(
    wrapper: Wrapper, tmp_path: Path, statement: str, said: str
) -> None:
    other = WhiteBalloon(tmp_path)
    other.group(1)
    other.comment(1, "hello")
    other.execute("drop table help_requests")
    other.execute("create table help_requests (id varchar, title varchar)")
    other.execute(statement, f"{MARK} {MARK}")
    result = wrapper("snapshot", "--all", DATABASE_URL=f"sqlite:///{other.app_path}")
    assert result.code == 2
    assert said in result.stderr
    assert quoted(wrapper, result) == []


@pytest.mark.parametrize(
    "statement",
    [
        "select 'a \"quoted\" Zyxwv'::bigint",
        "select E'Zyxwv\\nZyxwv'::date",
        "select '99999999999'::int",
        "select '{Zyxwv'::int[]",
        "select '{\"Zyxwv\"'::jsonb",
        "select to_date('Zyxwv', 'YYYY')",
        "select 'Zyxwv' ~ '('",
        "select decode('Zyxwv', 'hex')",
        "select convert_from('\\xff', 'UTF8')",
        "set timezone = 'Zyxwv'",
        "create temporary table t (name text unique); insert into t values ('Zyxwv'), ('Zyxwv')",
        "create temporary table t (name text, i int not null); insert into t values ('Zyxwv', null)",
        "do $$ begin perform 'Zyxwv'::uuid; end $$",
    ],
)
def test_error_line_of_a_failed_statement_quotes_no_value(wrapper: Wrapper, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(wrapper.environ["URL"])) as admin, pytest.raises(psycopg2.Error) as raised:
        query(admin, statement)
    line = first_line(raised.value)
    assert line
    assert not any(value in line for value in (MARK, "9999", "\n"))
