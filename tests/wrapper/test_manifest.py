"""Rules about the dbt project itself, read from its manifest."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from wrapper import LinkStat, SignalProfileSnapshot, TagStat
from wrapper.dbt_project import PROFILES_DIR, PROJECT_DIR, project_vars

PUBLISHED = "model.signal_profiles.signal_profile_snapshots"
HIGHLIGHTS = "model.signal_profiles.signal_profile_highlights"
TABLES = {
    PUBLISHED,
    "model.signal_profiles.signal_profile_snapshot_hashes",
    "model.signal_profiles.signal_profile_runs",
    "model.signal_profiles.signal_profile_memberships",
    "model.signal_profiles.signal_profile_months",
    "model.signal_profiles.signal_profile_contract",
    "model.signal_profiles.signal_profile_bio_inputs",
    HIGHLIGHTS,
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """The manifest, and the warnings that parsing gave."""
    from dbt.cli.main import dbtRunner

    warnings: list[str] = []

    def on_event(event: Any) -> None:
        if event.info.level == "warn":
            warnings.append(event.info.msg)

    target: Path = tmp_path_factory.mktemp("target")
    result = dbtRunner(callbacks=[on_event]).invoke(
        ["--quiet", "--log-level-file", "none", "parse", "--no-partial-parse", "--show-all-deprecations",
         "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROFILES_DIR), "--target-path", str(target)]
    )  # fmt: skip
    assert result.success
    return result.result, warnings


def ancestors(manifest: Any, unique_id: str) -> set[str]:
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        for parent in manifest.parent_map[waiting.pop()]:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def test_parsing_gives_no_warning(parsed: tuple[Any, list[str]]) -> None:
    assert parsed[1] == []


def test_every_data_test_stands_between_the_sources_and_the_published_rows(parsed: tuple[Any, list[str]]) -> None:
    """dbt holds the published model back for a failing test only if it is built from all that the test reads."""
    manifest = parsed[0]
    manifest.build_parent_and_child_maps()
    units = [ancestors(manifest, published) for published in (PUBLISHED, HIGHLIGHTS)]
    tests = [
        node
        for node in manifest.nodes.values()
        if node.resource_type == "test" and not node.original_file_path.startswith("tests/macros/")
    ]
    assert len(tests) > 15
    for test in tests:
        assert test.config.severity.lower() == "error", test.name
        # The rows that fail a test are people's.
        assert not test.config.store_failures, test.name
        assert not test.config.store_failures_as, test.name
        assert test.depends_on.nodes, test.name
        assert any(set(test.depends_on.nodes) <= before_publishing for before_publishing in units), test.name


def test_everything_is_described(parsed: tuple[Any, list[str]]) -> None:
    manifest = parsed[0]
    nodes = [
        *(node for node in manifest.nodes.values() if node.resource_type in {"model", "seed"}),
        *manifest.sources.values(),
    ]
    assert len(nodes) > 15
    for node in nodes:
        assert node.description, node.unique_id
        assert node.columns, node.unique_id
        for column in node.columns.values():
            assert column.description, f"{node.unique_id}.{column.name}"


def test_every_test_of_its_own_file_is_described(parsed: tuple[Any, list[str]]) -> None:
    tests = [node for node in parsed[0].nodes.values() if node.resource_type == "test"]
    files = {node.original_file_path for node in tests if node.original_file_path.endswith(".sql")}
    assert len(files) > 10
    assert [node.name for node in tests if node.original_file_path in files and not node.description] == []


def test_what_is_public_has_a_contract(parsed: tuple[Any, list[str]]) -> None:
    public = {node.unique_id: node for node in parsed[0].nodes.values() if getattr(node, "access", None) == "public"}
    views = public.keys() - TABLES
    assert public.keys() > TABLES
    assert len(views) == 6
    for node in public.values():
        assert node.contract.enforced, node.unique_id
        assert all(column.data_type for column in node.columns.values())
    for name in TABLES:
        assert [constraint.type.value for constraint in public[name].constraints].count("primary_key") == 1
    kinds = [constraint.type.value for constraint in public[PUBLISHED].constraints]
    assert kinds.count("check") >= 5
    for column in public[PUBLISHED].columns.values():
        assert [constraint.type.value for constraint in column.constraints] == ["not_null"], column.name


def test_what_is_public_stands_on_its_own(parsed: tuple[Any, list[str]]) -> None:
    """dbt drops what is not published with cascade, and WhiteBalloon must be free to: no view may stand on either."""
    manifest = parsed[0]
    manifest.build_parent_and_child_maps()
    views = [node for node in manifest.nodes.values() if node.config.materialized == "published_view"]
    assert len(views) == 6
    for view in views:
        assert set(manifest.parent_map[view.unique_id]) <= TABLES | {"model.signal_profiles.signal_profile_links"}
    # Whatever is published comes after the gate that the snapshots went through.
    for name in TABLES - {PUBLISHED}:
        assert PUBLISHED in manifest.parent_map[name]


def test_everything_public_is_published_with_a_unit(parsed: tuple[Any, list[str]]) -> None:
    """The gate asks for whole units: what names none would be published without it."""
    nodes = parsed[0].nodes.values()
    public = {node.unique_id for node in nodes if getattr(node, "access", None) == "public"}
    assert public == {node.unique_id for node in nodes if node.config.meta.get("unit")}
    for node in nodes:
        hooks = [hook.sql for hook in node.config.pre_hook] if node.unique_id in public else []
        assert ("{{ refuse_a_part_of_a_unit() }}" in hooks) == (node.unique_id in public)
        assert ("{{ refuse_what_was_not_built() }}" in hooks) == (node.unique_id in TABLES)


def test_dataclass_schema_and_contract_are_of_one_shape(parsed: tuple[Any, list[str]]) -> None:
    """The JSON Schema for programs, the Python type and the table: whichever changes alone fails here."""
    schema = json.loads((PROJECT_DIR / "schemas" / "signal_profile_snapshot.schema.json").read_text())
    contract = {name: column.data_type for name, column in parsed[0].nodes[PUBLISHED].columns.items()}
    annotations = typing.get_type_hints(SignalProfileSnapshot)
    assert list(annotations) == list(contract) == list(schema["properties"]) == schema["required"]

    def json_type(of: dict[str, Any]) -> str:
        return str((schema["$defs"][of["$ref"].rsplit("/", 1)[1]] if "$ref" in of else of)["type"])

    kinds = {
        (int, "bigint", "integer"),
        (str, "text", "string"),
        (datetime, "timestamp", "string"),
        (tuple, "jsonb", "array"),
        (Mapping, "jsonb", "object"),
    }
    for name, annotation in annotations.items():
        python_type = typing.get_origin(annotation) or annotation
        assert (python_type, contract[name], json_type(schema["properties"][name])) in kinds, name
    for name, entry in (("top_links", LinkStat), ("top_tags", TagStat)):
        items = schema["properties"][name]["items"]
        assert [field.name for field in dataclasses.fields(entry)] == list(items["properties"]) == items["required"]


def test_every_var_is_checked() -> None:
    """A var that check_vars() does not list would be refused by name, though dbt_project.yml has it."""
    text = (PROJECT_DIR / "macros" / "vars.sql").read_text()
    for name in project_vars():
        assert f"'{name}': _is_" in text
