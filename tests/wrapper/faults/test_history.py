"""Random histories of a WhiteBalloon, with runs of all or a part of it in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.whiteballoon import WhiteBalloon

USERS = st.integers(1, 4)
SLUGS = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(["A", "B", " B ", None])
REQUESTS = st.integers(1, 3)
MOMENTS = st.sampled_from([f"{year}-06-01 12:00:00" for year in (1999, 2024, 2025, 2099)])
BODIES = st.sampled_from(
    [
        "hello", "https://example.org/a https://example.org/b", "https://example.org/a?utm_source=x", "",
        "(Reactions: B 😂)", "x\n\n[attachments: a.png, b.xyz]\n(Reactions: A ❤️, B, C 😂)", "> https://example.org/c\n\ntext",
    ]
)  # fmt: skip
TAGS = st.sampled_from(['["food", "tools"]', "tools, food", '["tools", 7]', "", None])
# Statements that somebody may run by hand on what runs have made.
BY_HAND = st.sampled_from(
    [
        "update signal_profiles.signal_profile_snapshots set message_count = message_count + 1 where user_id = 1",
        "delete from signal_profiles.signal_profile_snapshots where user_id = 1",
        "update signal_profiles.signal_profile_bio_inputs set analyses = '[7]'",
        "delete from signal_profiles.signal_profile_snapshot_hashes where user_id = 1",
        "update signal_profiles.signal_profile_months set message_count = message_count + 1 where user_id = 1",
        "drop table if exists signal_profiles_intermediate.int_messages",
        "drop schema if exists signal_profiles_intermediate cascade",
        "drop view if exists signal_profiles.signal_profile_links cascade",
    ]
)
ROWS = """
select
    s, h.snapshot_hash, b.analyses,
    array(
        select m from {0}.signal_profile_months as m
        where m.user_id = s.user_id and m.group_slug = s.group_slug order by m.month
    )::text
from {0}.signal_profile_snapshots as s
full join {0}.signal_profile_snapshot_hashes as h on h.user_id = s.user_id and h.group_slug = s.group_slug
left join {0}.signal_profile_bio_inputs as b on b.user_id = s.user_id and b.group_slug = s.group_slug
where not (coalesce(s.user_id, h.user_id) = any(%s) and coalesce(s.group_slug, h.group_slug) = any(%s))
order by coalesce(s.user_id, h.user_id), coalesce(s.group_slug, h.group_slug)
"""


class Life(RuleBasedStateMachine):
    """One WhiteBalloon's history; each of the rules is something that happens to it."""

    def __init__(self, wrapper: Wrapper, warehouse: Connection, folder: Path, counts: dict[str, int]) -> None:
        super().__init__()
        self.last_scope: tuple[set[int], set[str]] = (set(), set())
        self.wrapper, self.warehouse, self.counts = wrapper, warehouse, counts
        counts["histories"] += 1
        self.whiteballoon = WhiteBalloon(folder / str(counts["histories"]))
        wrapper.environ |= {
            "DATABASE_URL": f"sqlite:///{self.whiteballoon.app_path}",
            "COMMENT_INSIGHTS_DB": str(self.whiteballoon.analyses_path),
        }
        self._drop("signal_profiles")

    @initialize(users=st.sets(USERS, min_size=1), slugs=st.sets(SLUGS, min_size=1))
    def begin(self, users: set[int], slugs: set[str]) -> None:
        """Start with two groups and a message in each."""
        self.last_scope = users, slugs
        for number, (slug, name) in enumerate([("a", "A"), ("b", "B")], start=1):
            self.whiteballoon.group(1, 2, slug=slug, name=name, request_id=number)
            self.whiteballoon.comment(1, "hello", request_id=number)
        self.wrapper.snapshot("--accept-losses", "--all")

    @rule(user=USERS, request=REQUESTS, body=BODIES, at=MOMENTS, tags=st.none() | st.tuples(TAGS, TAGS, TAGS))
    def write(self, user: int, request: int, body: str, at: str, tags: tuple[str | None, ...] | None) -> None:
        """A message arrives, early or late."""
        self.whiteballoon.comment(user, body, request_id=request, at=at, tags=tags)

    @rule(pick=st.integers(0), body=BODIES, at=MOMENTS)
    def edit(self, pick: int, body: str, at: str) -> None:
        self._on_a_comment(pick, "update request_comments set body = ?, created_at = ? where id = ?", body, at)

    @rule(pick=st.integers(0), at=st.none() | MOMENTS)
    def delete_softly_or_undo_that(self, pick: int, at: str | None) -> None:
        self._on_a_comment(pick, "update request_comments set deleted_at = ? where id = ?", at)

    @rule(pick=st.integers(0))
    def delete(self, pick: int) -> None:
        self._on_a_comment(pick, "delete from request_comments where id = ?")

    @rule(user=USERS, slug=SLUGS, name=NAMES)
    def join(self, user: int, slug: str, name: str | None) -> None:
        self.whiteballoon.member(user, slug, name)

    @rule(user=USERS, slug=SLUGS)
    def leave(self, user: int, slug: str) -> None:
        self._execute("delete from user_attributes where user_id = ? and key = ?", user, f"signal_import_group:{slug}")

    @rule(slug=SLUGS, name=NAMES)
    def rename_for_members(self, slug: str, name: str | None) -> None:
        self._execute("update user_attributes set value = ? where key = ?", name, f"signal_import_group:{slug}")

    @rule(request=REQUESTS, name=st.sampled_from(["A", "B", "C", "c"]))
    def title(self, request: int, name: str) -> None:
        """A chat is created or renamed."""
        self._execute("insert or replace into help_requests (id, title) values (?, ?)", request, f"[Signal] {name}")

    @rule(pick=st.integers(0), tags=st.none() | TAGS)
    def analyse(self, pick: int, tags: str | None) -> None:
        """An analysis is written or replaced."""
        for comment_id in self._pick(pick):
            self.whiteballoon.analyses.execute(
                "insert or replace into comment_llm_analyses (comment_id, tags) values (?, ?)", (comment_id, tags)
            )

    @rule(users=st.sets(USERS, min_size=1), slugs=st.sets(SLUGS, min_size=1))
    def run_a_part(self, users: set[int], slugs: set[str]) -> None:
        scope = ("signal_profiles", sorted(users), sorted(slugs))
        before = self._rows(*scope)
        arguments = [f"--user={user}" for user in users] + [f"--group-slug={slug}" for slug in slugs]
        result = self.wrapper("snapshot", "--accept-losses", *arguments)
        assert result.code == 0 or "neither a membership nor a published" in result.stderr, result.stderr
        self.counts["scoped runs"] += result.code == 0
        assert self._rows(*scope) == before

    @rule()
    def run_everything(self) -> None:
        self.counts["full runs"] += 1
        self.counts["full runs that built nothing"] += not self._full_run()["built"]

    @rule(statement=BY_HAND)
    def meddle(self, statement: str) -> None:
        query(self.warehouse, statement)

    @rule(pick=st.integers(0))
    def fail_a_run_and_undo_what_it_failed_at(self, pick: int) -> None:
        for comment_id in self._pick(pick):
            [(at,)] = self.whiteballoon.app.execute(
                "select created_at from request_comments where id = ?", (comment_id,)
            )
            self._execute("update request_comments set created_at = 'yesterday' where id = ?", comment_id)
            assert self.wrapper("snapshot", "--all").code == 2
            self._execute("update request_comments set created_at = ? where id = ?", at, comment_id)

    def _full_run(self, **environ: str) -> dict[str, Any]:
        return self.wrapper.snapshot("--all", "--accept-losses", **environ)

    def teardown(self) -> None:
        """At the end, a full run makes what a build from scratch makes, and the next run has nothing to build."""
        self.run_a_part(*self.last_scope)
        self.run_everything()
        assert self._full_run()["built"] is False
        self._drop("scratch")
        self._full_run(WAREHOUSE_SCHEMA="scratch")
        assert self._rows("signal_profiles") == self._rows("scratch")
        super().teardown()

    def _rows(self, schema: str, users: list[int] | None = None, slugs: list[str] | None = None) -> Any:
        """Return every row with its hash, except those of a scope; none if nothing was ever published."""
        if query(self.warehouse, f"select to_regclass('{schema}.signal_profile_snapshots')") == [(None,)]:
            return []
        with self.warehouse.cursor() as cursor:
            cursor.execute(ROWS.format(schema), (users or [], slugs or []))
            return cursor.fetchall()

    def _drop(self, schema: str) -> None:
        for suffix in ("", "_source", "_intermediate"):
            query(self.warehouse, f"drop schema if exists {schema}{suffix} cascade")

    def _execute(self, statement: str, *parameters: object) -> None:
        self.whiteballoon.execute(statement, *parameters)

    def _pick(self, pick: int) -> list[int]:
        ids = [row[0] for row in self.whiteballoon.app.execute("select id from request_comments order by id")]
        return [ids[pick % len(ids)]] if ids else []

    def _on_a_comment(self, pick: int, statement: str, *parameters: object) -> None:
        for comment_id in self._pick(pick):
            self._execute(statement, *parameters, comment_id)


def test_full_run_after_any_history_gives_the_rows_of_a_build_from_scratch(
    wrapper: Wrapper,
    warehouse: Connection,
    tmp_path: Path,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    counts = {"histories": 0, "scoped runs": 0, "full runs": 0, "full runs that built nothing": 0}

    class ThisLife(Life):
        def __init__(self) -> None:
            super().__init__(wrapper, warehouse, tmp_path, counts)

    run_state_machine_as_test(
        ThisLife,
        settings=settings(
            max_examples=amount(1, 8),
            stateful_step_count=amount(10, 40),
            # The short version tries the same histories each time; at full length they differ.
            derandomize=bool(amount(1, 0)),
            deadline=None,
            database=None,
            # Each step of shrinking would take a minute of runs.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, count in counts.items():
        record_property(name, count)
