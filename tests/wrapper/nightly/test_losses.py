"""Any kind of run that would lose most of what is published fails until the losses are accepted.

test_publish.py tests what counts as a loss, without a run for each case.
"""

import json

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from tests.wrapper.conftest import Wrapper, query
from tests.wrapper.reading.test_doctor import findings
from tests.wrapper.whiteballoon import WhiteBalloon

ADVICE = (
    "check DATABASE_URL, COMMENT_INSIGHTS_DB and what they name, or run once with --accept-losses if this is right; "
    "the published snapshots are as they were"
)
TAGS = "all tags, which 2 published snapshots have"
EVERYTHING = (
    f"10 of 10 published snapshots, {TAGS}, all links, which 2 published snapshots have, "
    "all reactions, which 3 published snapshots have, all attachments, which 2 published snapshots have"
)


def test_collapse_is_not_published(wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection) -> None:
    published = "select xmin, t::text from signal_profiles.signal_profile_snapshots as t order by 2"
    before = query(warehouse, published)
    assert findings(wrapper, 0)["losses"].startswith("ok: ")

    # The file of analyses is gone, and the setting that names it is not set.
    awkward.analyses.close()
    file = awkward.analyses_path.rename(awkward.analyses_path.with_name("moved.db"))
    found = findings(wrapper, 2)
    missing = wrapper.cwd / "data" / "comment_llm_insights.db"
    assert found["analyses"] == f"WARN: {missing} does not exist, so no snapshot will have tags"
    assert found["losses"].startswith("FIX: there are no analyses, but 10 snapshots are published: a run would fail")
    failed = wrapper("snapshot", "--all", "--json")
    assert (failed.code, json.loads(failed.stdout)["status"]) == (1, "failed")
    assert failed.stderr.splitlines() == [
        "warning: COMMENT_INSIGHTS_DB: data/comment_llm_insights.db does not exist, so no snapshot has tags",
        f"wrapper: this run would lose {TAGS}: {ADVICE}",
    ]
    assert wrapper.log()[-1]["error"] == f"this run would lose {TAGS}: {ADVICE}"
    # A setting that names a missing file stops a run before it has loaded anything.
    refused = wrapper("snapshot", "--all", COMMENT_INSIGHTS_DB="nope.db")
    assert (refused.code, refused.stderr) == (
        2,
        "wrapper: COMMENT_INSIGHTS_DB: nope.db does not exist: correct the setting, or unset it if this WhiteBalloon "
        "has no analyses\n",
    )

    file.rename(awkward.analyses_path)
    awkward.execute("delete from user_attributes")
    assert findings(wrapper, 2)["losses"].startswith("FIX: there are no memberships, but 10 snapshots are published")
    dry = wrapper("snapshot", "--all", "--dry-run")
    assert (dry.code, dry.stderr) == (1, f"wrapper: this run would lose {EVERYTHING}: {ADVICE}\n")
    assert query(warehouse, published) == before

    # Scopes with fewer than five published snapshots may lose all of them.
    assert wrapper.snapshot("--user", "1", "--dry-run")["removed"] == 2
    assert wrapper.snapshot("--all", "--accept-losses")["removed"] == 10
    assert query(warehouse, published) == []


def test_dbt_build_after_a_collapse_names_the_losses_and_publishes_nothing(
    wrapper: Wrapper, awkward: WhiteBalloon, warehouse: Connection
) -> None:
    wrapper.succeed("load")
    query(warehouse, "delete from signal_profiles_source.request_comments")
    result = wrapper("dbt", "build", "--selector", "nightly")
    assert result.code == 1
    assert f"This would lose {EVERYTHING}: check the sources and settings, or publish it once" in result.stdout
    assert query(warehouse, "select count(*) from signal_profiles.signal_profile_snapshots") == [(10,)]
