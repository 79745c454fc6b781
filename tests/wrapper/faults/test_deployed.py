"""Root types all commands of deploy/README.md, with a real systemd, cron, sudo and apt."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.wrapper.conftest import query, wait_until
from tests.wrapper.deploy.test_deploy_files import DEPLOY, INSTALLED, need
from tests.wrapper.faults.machine import Machine, boot
from tests.wrapper.pages import blocks, copy_clone
from tests.wrapper.whiteballoon import WhiteBalloon

pytestmark = pytest.mark.full

SERVICE = "signal-profile-snapshots.service"
GROUP_SERVICE = r"signal-profile-snapshots@tool\\x2dlibrary.service"
STAY_CONNECTED = """
import subprocess, sys, time
from pathlib import Path
import psycopg2
from wrapper.warehouse.embedded import EmbeddedServer
storage, service = sys.argv[1:]
deadline = time.monotonic() + 120
while True:
    try:
        connection = psycopg2.connect(EmbeddedServer(Path(storage, "postgres")).url())
        break
    except psycopg2.OperationalError:
        assert time.monotonic() < deadline, "it never started"
        time.sleep(0.05)
active = ["systemctl", "show", "--property=ActiveState", "--value", service]
assert subprocess.check_output(active, text=True) == "activating\\n"
while subprocess.check_output(active, text=True) != "inactive\\n":
    assert time.monotonic() < deadline, "it never ended"
    time.sleep(0.1)
time.sleep(1)
connection.cursor().execute("select 1")
"""
DATABASE = "postgresql://whiteballoon:PASSWORD@localhost/whiteballoon"


def commands(heading: str) -> list[str]:
    """The blocks of commands below a heading of the page."""
    return blocks(DEPLOY / "README.md", "sh", heading)


@dataclasses.dataclass
class Operated:
    """A machine with a WhiteBalloon where the page expects it, and its operator."""

    machine: Machine

    def entries(self) -> list[dict[str, Any]]:
        """Return the run log, starting with the file that logrotate rotated."""
        log = "/srv/whiteballoon/storage/signal_profile_snapshot.log"
        return [json.loads(line) for line in self.machine.run(f"cat {log}.1 {log} 2>&- || :").splitlines()]

    def look_before(self, prepare: str) -> None:
        """Make the storage directory, and check what doctor and a dry run say."""
        said = self.machine.run(prepare)
        assert "\nok   warehouse: " in said
        assert "FIX" not in said
        assert "would publish 2 snapshots of 2 members" in said

    def nights_by_systemd(self) -> None:
        """Run a night, a group's night by its timer's service, and a night that an operator stops."""
        nightly, group = commands("Every night")[:2]
        assert "published 2 snapshots of 2 members" in self.machine.run(nightly)
        assert "NEXT" in self.machine.run("systemctl list-timers signal-profile-snapshots.timer")

        self.machine.run(group)
        self.machine.run(f'systemctl start "{GROUP_SERVICE}"')
        assert self.entries()[-1]["group_slugs"] == ["tool-library"]

        self.machine.run(f"systemctl start --no-block {SERVICE}")
        open_files = f"readlink /proc/$(systemctl show --property=MainPID --value {SERVICE})/fd/* || :"
        wait_until(lambda: "signal_profile_snapshot.log" in self.machine.run(open_files))
        self.machine.run(f"systemctl stop {SERVICE} && ! systemctl is-failed {SERVICE}")
        assert [run["status"] for run in self.entries()[-3:]] == ["success", "success", "interrupted"]

    def nights_beside_others(self) -> None:
        """Run nights while others use the embedded Postgres, below a path that is too long for a socket."""
        storage = f"/srv/whiteballoon/storage/{'long' * 25}"
        drop_in = f"/run/systemd/system/{SERVICE}.d"
        wrapper = f"cd /srv/whiteballoon; sudo -u whiteballoon STORAGE_DIR={storage} {INSTALLED}"
        self.machine.run(f"""
            install --directory --owner whiteballoon --mode 0700 {storage}
            mkdir {drop_in}
            printf '[Service]\nEnvironment=STORAGE_DIR={storage}\n' > {drop_in}/storage.conf
            systemctl daemon-reload
            systemctl start --no-block {SERVICE}
        """)
        # The service started the server, and ends while this client is connected.
        self.machine.run(f"/opt/signal-profile-snapshots/.venv/bin/python - {storage} {SERVICE}", stdin=STAY_CONNECTED)
        assert self.machine.run(f"{wrapper} db status") == "running\n"
        # The next night finds the server through its private /tmp, and stops it, since nobody else is connected.
        self.machine.run(f"systemctl start {SERVICE}")
        assert self.machine.run(f"{wrapper} db status") == "stopped\n"
        # A server that was started at a shell keeps running.
        self.machine.run(f"{wrapper} db start; systemctl start {SERVICE}")
        assert self.machine.run(f"{wrapper} db status") == "running\n"
        runs = self.machine.run(f"cat {storage}/signal_profile_snapshot.log").splitlines()
        assert [json.loads(run)["status"] for run in runs] == ["success"] * 3
        self.machine.run(f"{wrapper} db stop; rm -r {storage} {drop_in}; systemctl daemon-reload")

    def night_by_cron(self) -> None:
        """Run a night by cron's line as written, except that it starts every minute."""
        cron = commands("Every night")[2]
        runs = len(self.entries())
        self.machine.run(f"{cron}sed --in-place 's/^15 3 /* * /' /etc/cron.d/signal-profile-snapshots")
        # Cron starts things at the full minute.
        wait_until(lambda: len(self.entries()) > runs, seconds=120)
        assert self.entries()[-1]["status"] == "success"

    def look_after(self) -> None:
        """Rotate the log, then look at it and make the report."""
        logrotate = commands("Every night")[3]
        self.machine.run(f"{logrotate}logrotate --force /etc/logrotate.d/signal-profile-snapshots")
        [watch] = commands("Watch it")
        assert "success" in self.machine.run(watch)
        assert self.machine.run("stat --format=%a,%U /srv/whiteballoon/storage/report.html") == "600,whiteballoon\n"

    def back_out(self, block: int) -> None:
        """Remove all for WhiteBalloon on SQLite (1) or Postgres (2), except the program that the last line removes."""
        first, *warehouses, last = commands("Back out")
        remove, program = last.split("rm -rf /opt/signal-profile-snapshots")
        assert program == "\n"
        self.machine.run("\n".join([first, warehouses[block - 1], remove]))

    def files(self) -> list[str]:
        """List what is in the places that the page writes to, except the storage directory itself."""
        places = "/etc/systemd /etc/cron.d /etc/logrotate.d /srv /opt"
        listed = self.machine.run(f"find {places} -not -path '*/__pycache__*' -printf '%p %m %u %l\\n' | sort")
        return [line for line in listed.splitlines() if not line.startswith("/srv/whiteballoon/storage ")]


def make_whiteballoon(folder: Path) -> WhiteBalloon:
    """Make a WhiteBalloon of two groups, with one member and one message each."""
    whiteballoon = WhiteBalloon(folder)
    whiteballoon.group(1, slug="tool-library")
    whiteballoon.comment(1, "hello")
    whiteballoon.group(2, slug="rides", name="R", request_id=2)
    whiteballoon.comment(2, "https://example.org/", request_id=2)
    return whiteballoon


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    for program in ("cron", "logrotate", "sudo"):
        need(program)
    folder = tmp_path_factory.mktemp("machine")
    copy_clone(folder / "repository")
    make_whiteballoon(folder / "data")
    (folder / "memory").mkdir()
    with boot(folder / "memory") as machine:
        machine.run(f"""
            cd {folder}/repository
            git init --quiet
            git add .
            git -c user.name=x -c user.email=x commit --quiet --message x
            useradd --system --home-dir /srv/whiteballoon whiteballoon
            install --directory /srv/whiteballoon
            cp --recursive {folder}/data /srv/whiteballoon
            chown --recursive whiteballoon: /srv/whiteballoon
            # An operator answers apt's questions with yes.
            echo 'APT::Get::Assume-Yes "true";' > /etc/apt/apt.conf.d/99yes
            apt-get update
        """)
        [install] = commands("Install")
        machine.run(install.replace("REPOSITORY", f"{folder}/repository"))
        yield Operated(machine)


def test_deploy_page_on_sqlite_runs_nights_and_leaves_no_file_behind(operated: Operated) -> None:
    before = operated.files()
    [prepare] = commands("WhiteBalloon on SQLite")
    operated.look_before(prepare)
    operated.nights_by_systemd()
    operated.nights_beside_others()
    operated.night_by_cron()
    operated.look_after()
    operated.back_out(1)
    assert operated.files() == before


def test_deploy_page_on_postgres_runs_nights_and_leaves_no_file_role_or_right_behind(
    operated: Operated, tmp_path: Path
) -> None:
    machine = operated.machine
    machine.run("""
        systemctl start postgresql
        sudo -u postgres psql --command="create role whiteballoon login password 'PASSWORD'"
        sudo -u postgres createdb --owner=whiteballoon whiteballoon
    """)
    make_whiteballoon(tmp_path / "copy").copy_to_postgres(DATABASE)
    # Move WhiteBalloon's tables to the default of WB_SCHEMA.
    admin = psycopg2.connect(DATABASE)
    admin.autocommit = True
    query(admin, "drop schema public")
    query(admin, "alter schema wb rename to public")
    # After a right was granted and revoked, the owner's implied rights are spelled out; acldefault() does the same.
    rights = """
        with places (name, acl) as (
            select nspname, coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace where nspname !~ 'temp'
            union all
            select relname, coalesce(relacl, acldefault('r', relowner)) from pg_class
            where relnamespace = 'public'::regnamespace
        )
        select name, array(select acl_item::text from aclexplode(acl) as acl_item order by 1) from places
        union all
        select rolname, null from pg_roles
        order by 1
    """
    files, catalogue = operated.files(), query(admin, rights)

    roles, password = commands("WhiteBalloon on Postgres")[0].splitlines(keepends=True)
    machine.run(roles)
    machine.run(password, stdin="PASSWORD\nPASSWORD\n")
    [settings] = blocks(DEPLOY / "README.md", "ini", "WhiteBalloon on Postgres")
    machine.run(f"cd /srv/whiteballoon && cat > .env <<'X'\n{settings}X\nchown whiteballoon: .env && chmod 600 .env")
    machine.run("rm /srv/whiteballoon/data/app.db")
    [prepare] = commands("WhiteBalloon on SQLite")
    operated.look_before(prepare)
    operated.nights_by_systemd()
    operated.look_after()
    operated.back_out(2)
    machine.run("rm /srv/whiteballoon/.env")
    assert query(admin, rights) == catalogue
    admin.close()
    assert operated.files() == [line for line in files if "app.db" not in line]
