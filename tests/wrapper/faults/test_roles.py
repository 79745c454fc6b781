"""With deploy/roles.sql, the job cannot change anything of WhiteBalloon's, and readers reach only what is published."""

import contextlib
import dataclasses
import subprocess
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.pages import blocks
from tests.wrapper.servers import VERSIONS, Server
from tests.wrapper.whiteballoon import WhiteBalloon
from wrapper.dbt_project import PROJECT_DIR, source_tables

RUNNER = "signal_profiles_runner"
READERS = ["signal_profiles_analyst", "signal_profiles_bio_generator"]
PUBLISHED = "signal_profiles.signal_profile_snapshots"
# Each has a word that is nowhere else.
BODIES = ["meet at Zanzibar https://example.org/a", "call Quetzalcoatl please", "> quoted Xylophone\n\nyes"]
WORDS = ["Zanzibar", "Quetzalcoatl", "Xylophone"]


@dataclasses.dataclass
class Deployed:
    """A WhiteBalloon on Postgres with the roles, after the runner's runs."""

    url: str
    wrapper: Wrapper

    def as_role(self, role: str) -> str:
        """The URL of the database for a role."""
        return self.url.replace("postgres@", f"{role}@")

    def refuses(self, role: str, statement: str) -> bool:
        """Return whether a role lacks the right to run a statement."""
        with contextlib.closing(psycopg2.connect(self.as_role(role))) as connection:
            try:
                query(connection, statement)
            except psycopg2.errors.InsufficientPrivilege:
                return True
            return False

    def apply(self) -> None:
        """Apply roles.sql with psql, which must not warn of anything."""
        psql = [str(VERSIONS["18"] / "psql"), "--no-psqlrc", "--quiet", "--set=wb_schema=wb"]
        file = PROJECT_DIR / "deploy" / "roles.sql"
        done = subprocess.run(
            [*psql, f"--dbname={self.url}", f"--file={file}"], capture_output=True, text=True, check=True
        )
        assert "warning" not in done.stderr


@pytest.fixture(scope="module")
def deployed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    whiteballoon = WhiteBalloon(folder / "data")
    whiteballoon.group(1, 2)
    for body in BODIES:
        whiteballoon.comment(1, body, tags=("tools", None, None))
    whiteballoon.comment(2, BODIES[0])
    url = server.create_database("deployed")
    whiteballoon.copy_to_postgres(url)
    deployed = Deployed(url, Wrapper(folder, {}))
    admin = psycopg2.connect(url)
    admin.autocommit = True
    query(admin, "create table wb.users (id integer, username varchar, password_hash varchar)")
    # Another role's run left these, and they are in the runner's way.
    query(admin, "create schema signal_profiles")
    query(
        admin,
        "create table signal_profiles.signal_profile_snapshot_hashes (user_id bigint, group_slug text, "
        "snapshot_hash text, changed_at timestamptz, run_id text, primary key (user_id, group_slug))",
    )
    deployed.apply()
    deployed.wrapper.environ = {
        "DATABASE_URL": url,
        "WAREHOUSE_URL": deployed.as_role(RUNNER),
        "WB_SCHEMA": "wb",
        "PROFILE_SIGNAL_GLAZE": "1",
    }
    yield deployed
    for role in (RUNNER, *READERS):
        query(admin, f"drop owned by {role} cascade")
        query(admin, f"drop role {role}")
    admin.close()


@pytest.fixture(scope="module")
def published(deployed: Deployed, amount: Callable[[int, int], int]) -> Deployed:
    """The database after a full, a scoped and a dry run by the runner."""
    runs = [(["--all"], 2), (["--user", "1"], 1), (["--all", "--dry-run"], 2)]
    for arguments, generated in runs[: amount(2, 3)]:
        assert deployed.wrapper.snapshot(*arguments)["generated"] == generated
    with contextlib.closing(psycopg2.connect(deployed.url)) as admin:
        assert query(admin, "select count(*) from signal_profiles_source.comment_llm_analyses") == [(3,)]
    assert deployed.refuses(READERS[0], f"table {PUBLISHED}")
    deployed.apply()
    return deployed


def test_runner_role_reads_whiteballoon_but_can_change_nothing(published: Deployed) -> None:
    for statement in (
        "insert into wb.request_comments (id) values (99)",
        "update wb.request_comments set body = ''",
        "delete from wb.request_comments",
        "truncate wb.request_comments",
        "alter table wb.request_comments add column x int",
        "create index on wb.request_comments (id)",
        "create trigger t after insert on wb.request_comments execute function suppress_redundant_updates_trigger()",
        "drop table wb.request_comments",
        "create table wb.t (id int)",
        "create view wb.v as select 1",
        "alter schema wb rename to ours",
        "drop schema wb cascade",
        "lock table wb.request_comments",
        "select * from wb.users",
        "create schema another",
        "create role another",
    ):
        assert published.refuses(RUNNER, statement), statement
    assert not published.refuses(RUNNER, "select * from wb.request_comments")
    assert not published.refuses(RUNNER, "select id, username from wb.users")


@pytest.mark.parametrize("role", READERS)
def test_reader_role_reads_published_rows_and_no_message(published: Deployed, role: str) -> None:
    for relation in (
        "wb.request_comments",
        "wb.user_attributes",
        "signal_profiles_source.comment_llm_analyses",
        "signal_profiles_intermediate.int_snapshot_candidates",
        "signal_profiles_intermediate.int_link_stats",
    ):
        assert published.refuses(role, f"select * from {relation}"), relation
    for statement in (
        f"delete from {PUBLISHED}",
        f"insert into {PUBLISHED} select * from {PUBLISHED}",
        "create table signal_profiles.t (id int)",
    ):
        assert published.refuses(role, statement), statement
    with contextlib.closing(psycopg2.connect(published.as_role(role))) as connection:
        assert query(connection, f"select count(*) from {PUBLISHED}") == [(2,)]
        relations = query(
            connection,
            """
            select relation.oid::regclass::text
            from pg_class as relation
            inner join pg_namespace as n on n.oid = relation.relnamespace
            where
                n.nspname = 'signal_profiles' and relation.relkind in ('r', 'p', 'v', 'm')
                and has_table_privilege(relation.oid, 'select')
            """,
        )
        assert (PUBLISHED,) in relations
        visible = [str(query(connection, f"select * from {relation}")) for (relation,) in relations]
        # These hold values that the planner keeps of tables, and statements that others are running.
        visible += [str(query(connection, "select * from pg_stats")), str(query(connection, "table pg_stat_activity"))]
    assert "example.org" in "".join(visible)
    assert [word for word in WORDS if word in "".join(visible)] == []


def test_bio_inputs_are_withheld_from_analysts_only(published: Deployed) -> None:
    """This holds however often the file is applied, and whatever runs after it."""
    analyst, bio_generator = READERS
    for _ in range(2):
        assert published.refuses(analyst, "table signal_profiles.signal_profile_bio_inputs")
        assert not published.refuses(bio_generator, "table signal_profiles.signal_profile_bio_inputs")
        assert not published.refuses(analyst, "table signal_profiles.signal_profile_groups")
        published.apply()
    refused = published.wrapper("export", WAREHOUSE_URL=published.as_role(analyst))
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "wrapper: the user of the warehouse has no right to this: permission denied for table "
        "signal_profile_bio_inputs (deploy/roles.sql, or the dbt vars analyst_roles and bio_roles, grant what readers "
        "need)\n"
    )
    assert published.wrapper.succeed("freshness", WAREHOUSE_URL=published.as_role(analyst)).stdout


def test_grants_in_roles_sql_name_the_tables_that_are_read() -> None:
    text = (PROJECT_DIR / "deploy" / "roles.sql").read_text()
    own = [f"'{table.name}'" for table in source_tables() if table.source != "whiteballoon_analyses"]
    assert f"tablename in ({', '.join(own)})" in text


def test_run_after_whiteballoon_recreated_a_table_names_it_and_the_remedy(published: Deployed) -> None:
    published.wrapper.succeed("load")
    with contextlib.closing(psycopg2.connect(published.url)) as admin, admin:
        query(admin, "create table wb.fresh (like wb.help_requests including all)")
        query(admin, "insert into wb.fresh table wb.help_requests")
        query(admin, "drop table wb.help_requests")
        query(admin, "alter table wb.fresh rename to help_requests")
    refused = published.wrapper("snapshot", "--all")
    assert (refused.code, refused.stderr) == (
        2,
        "wrapper: WB_SCHEMA: wb.help_requests cannot be read: permission denied for table help_requests; if "
        "WhiteBalloon created this table after deploy/roles.sql was applied, apply deploy/roles.sql again\n",
    )
    published.apply()
    published.wrapper.succeed("load")


def test_backing_out_of_one_database_leaves_roles_that_another_uses(
    server: Server, make_database: Callable[[], str]
) -> None:
    # Roles belong to the server, and other tests use some of the usual names.
    names = {name: f"departing_{name}" for name in ("runner", "analyst", "bio_generator")} | {"schema": "departing"}
    variables = [f"--set={variable}={name}" for variable, name in names.items()]
    roles = f"--file={PROJECT_DIR / 'deploy' / 'roles.sql'}"
    psql = [str(VERSIONS["18"] / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    [block] = [
        block for block in blocks(PROJECT_DIR / "deploy" / "README.md", "sh", "Back out") if "drop role" in block
    ]
    script = block.partition("<<'SQL'\n")[2].partition("SQL\n")[0].replace("signal_profiles", "departing")
    first, second = make_database(), make_database()
    for url in (first, second):
        subprocess.run([*psql, f"--dbname={url}", *variables, roles], check=True)

    def roles_left_after_backing_out_of(url: str) -> list[tuple[str]]:
        subprocess.run([*psql, f"--dbname={url}"], input=script, text=True, check=True)
        with contextlib.closing(psycopg2.connect(url)) as admin:
            assert query(admin, "select from pg_namespace where nspname like 'departing%'") == []
            return query(admin, "select rolname from pg_roles where rolname like 'departing%'")

    assert len(roles_left_after_backing_out_of(first)) == 3
    assert roles_left_after_backing_out_of(second) == []
    assert roles_left_after_backing_out_of(second) == []


def test_roles_sql_when_everybody_may_create_in_the_wb_schema_warns(deployed: Deployed) -> None:
    with contextlib.closing(psycopg2.connect(deployed.url)) as admin, admin:
        query(admin, "grant create on schema wb to public")
    try:
        with pytest.raises(AssertionError, match="warning"):
            deployed.apply()
    finally:
        with contextlib.closing(psycopg2.connect(deployed.url)) as admin, admin:
            query(admin, "revoke create on schema wb from public")
