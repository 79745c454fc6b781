"""The questions in analyses/, asked of the published example, and the site that dbt generates."""

import collections
import dataclasses
import json
import re
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import RealDictCursor

from tests.wrapper.conftest import Wrapper
from wrapper.dbt_project import PROJECT_DIR

QUESTIONS = sorted(path.stem for path in (PROJECT_DIR / "analyses").glob("*.sql"))


@dataclasses.dataclass
class Asked:
    """The rows of every question, the snapshots they are about, dbt's manifest and its site."""

    answers: dict[str, Any]
    snapshots: list[dict[str, Any]]
    manifest: dict[str, Any]
    site: str


@pytest.fixture(scope="module")
def asked(example: Wrapper) -> Asked:
    example.succeed("dbt", "--quiet", "docs", "generate", "--static")
    # A target that was only copied for its parse has no manifest.
    (target,) = (path.parent for path in example.cwd.glob("storage/dbt/*/dbt/manifest.json"))
    connection = psycopg2.connect(example.environ["WAREHOUSE_URL"], cursor_factory=RealDictCursor)
    answers = {}
    for name in QUESTIONS:
        with connection.cursor() as cursor:
            cursor.execute((target / "compiled" / "signal_profiles" / "analyses" / f"{name}.sql").read_text())
            answers[name] = cursor.fetchall()
    connection.close()
    snapshots = [line["snapshot"] for line in example.export()]
    manifest = json.loads((target / "manifest.json").read_text())
    return Asked(answers, snapshots, manifest, (target / "static_index.html").read_text())


def test_analyses_have_answers_and_read_public_models_only(asked: Asked) -> None:
    assert len(asked.answers) >= 8
    for name, rows in asked.answers.items():
        assert rows, name
        node = asked.manifest["nodes"][f"analysis.signal_profiles.{name}"]
        assert node["description"]
        for parent in node["depends_on"]["nodes"]:
            assert asked.manifest["nodes"][parent]["access"] == "public", (name, parent)


def test_answers_of_analyses_agree_with_the_snapshots(asked: Asked) -> None:
    answers, snapshots = asked.answers, asked.snapshots
    by_group: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for snapshot in snapshots:
        by_group[snapshot["group_slug"]].append(snapshot)

    for slug, members in by_group.items():
        ranked = sorted(members, key=lambda s: (-s["message_count"], s["user_id"]))[:10]
        found = [row["user_id"] for row in answers["most_active_members"] if row["group_slug"] == slug]
        assert found == [snapshot["user_id"] for snapshot in ranked]
        months = collections.Counter(s["first_seen_at"][:7] for s in members)
        newcomers = {
            row["first_month"].isoformat()[:7]: row["newcomer_count"]
            for row in answers["newcomers_by_month"]
            if row["group_slug"] == slug
        }
        assert newcomers == months
        reactions: collections.Counter[str] = collections.Counter()
        for snapshot in members:
            reactions.update(snapshot["reaction_counts"])
        assert reactions == {
            row["emoji"]: row["reaction_count"] for row in answers["reactions_by_group"] if row["group_slug"] == slug
        }
    sharers = collections.defaultdict(set)
    for snapshot in snapshots:
        for link in snapshot["top_links"]:
            sharers[link["url"]].add(snapshot["user_id"])
    top = answers["most_shared_links"][0]
    assert top["member_count"] == len(sharers[top["url"]]) == max(map(len, sharers.values()))
    groups_of = collections.Counter(s["user_id"] for s in snapshots)
    assert {row["user_id"]: row["group_count"] for row in answers["members_of_several_groups"]} == {
        user: count for user, count in groups_of.items() if count > 1
    }


def test_dbt_site_has_every_description_in_one_file(asked: Asked) -> None:
    """It has the descriptions of every node and its columns, and the lineage, and loads nothing from elsewhere."""
    documented = 0
    for kind in ("nodes", "sources", "exposures", "macros", "unit_tests"):
        for unique_id, node in asked.manifest[kind].items():
            if node["package_name"] != "signal_profiles":
                continue
            texts = [unique_id, node["description"] or ""]
            texts += [column["description"] for column in node.get("columns", {}).values()]
            for text in texts:
                assert json.dumps(text)[1:-1] in asked.site, unique_id
                documented += bool(text)
    assert documented > 400
    assert '"parent_map"' in asked.site
    assert "Signal profile snapshots" in asked.site
    assert re.findall(r"<(?:script|img|iframe)[^>]+src=.?https?:|<link[^>]+href=.?https?:", asked.site) == []
