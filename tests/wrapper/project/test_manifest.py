"""Rules about the dbt project itself, read from its manifest."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from wrapper import LinkStat, SignalProfileSnapshot, TagStat
from wrapper.dbt_project import PROJECT_DIR, project_vars
from wrapper.nightly.compiled import FIRST_MODEL

SELECTORS = PROJECT_DIR / "selectors.yml"
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
         "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR), "--target-path", str(target)]
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


def test_data_tests_read_only_what_the_published_rows_are_built_from(parsed: tuple[Any, list[str]]) -> None:
    """dbt holds the published model back for a failing test only if it is built from all that the test reads."""
    manifest = parsed[0]
    manifest.build_parent_and_child_maps()
    units = [ancestors(manifest, published) for published in (PUBLISHED, HIGHLIGHTS)]
    tests = [
        node
        for node in manifest.nodes.values()
        if node.resource_type == "test" and node.fqn[1] not in {"macros", "marts"}
    ]
    assert len(tests) > 15
    for test in tests:
        # The sources are WhiteBalloon's; what harms the rows also fails a test of the candidates.
        assert test.config.severity.lower() == ("warn" if test.fqn[1] == "staging" else "error"), test.name
        # Rows that fail a test are personal data.
        assert not test.config.store_failures, test.name
        assert not test.config.store_failures_as, test.name
        assert test.depends_on.nodes, test.name
        assert any(set(test.depends_on.nodes) <= before_publishing for before_publishing in units), test.name


def test_highlights_are_tables_replaced_whole_and_a_view(parsed: tuple[Any, list[str]]) -> None:
    """The wrapper repeats what dbt compiled for the selector's models, in these two ways alone."""
    manifest = parsed[0]
    manifest.build_parent_and_child_maps()
    unit = {
        node.name: (node.config.materialized, node.config.incremental_strategy)
        for node in manifest.nodes.values()
        if node.resource_type == "model" and FIRST_MODEL in {node.unique_id, *ancestors(manifest, node.unique_id)}
    }
    [selector] = [it for it in yaml.safe_load(SELECTORS.read_text())["selectors"] if it["name"] == "highlights"]
    below = selector["definition"]["union"][0]
    assert below == {"method": "fqn", "value": FIRST_MODEL.split(".")[-1], "children": True}
    view = unit.pop("signal_profile_highlight_freshness")
    assert view[0] == "published_view"
    assert unit == {"int_highlights": ("table", None), "signal_profile_highlights": ("incremental", "replace_all")}


def test_intermediate_tests_left_to_pull_requests_check_private_keys_only(parsed: tuple[Any, list[str]]) -> None:
    """The gate does not require tests with that tag, so only keys that other tests guarantee have it."""
    nodes = parsed[0].nodes
    tests = [node for node in nodes.values() if node.resource_type == "test"]
    left = {node.unique_id for node in tests if "pull_request" in node.tags}
    needed = [node for node in tests if node.fqn[1] not in {"macros", "marts", "staging"}]
    keys = [node for node in needed if node.unique_id in left]
    assert len(left) - len(keys) == len(tests) - len(needed) > 30
    assert len(keys) == 5
    assert len(needed) - len(keys) > 12
    for test in keys:
        assert test.test_metadata.name == "grain", test.name
        assert nodes[test.attached_node].access.value == "private", test.name


def test_tables_and_views_have_a_key(parsed: tuple[Any, list[str]]) -> None:
    """The key is a primary key, or a test that a column or a combination of columns is unique."""
    nodes = parsed[0].nodes.values()
    tested = {
        node.attached_node
        for node in nodes
        if getattr(node, "test_metadata", None) and node.test_metadata.name in {"unique", "grain"}
    }
    models = [node for node in nodes if node.resource_type == "model" and node.config.materialized != "ephemeral"]
    assert len(models) > 20
    for model in models:
        constraints = {constraint.type.value for constraint in model.constraints}
        assert model.unique_id in tested or "primary_key" in constraints, model.name


def test_models_belong_to_groups_with_an_owner(parsed: tuple[Any, list[str]]) -> None:
    manifest = parsed[0]
    owners = {group.name: group.owner.name for group in manifest.groups.values()}
    models = [node for node in manifest.nodes.values() if node.resource_type == "model"]
    assert {model.group for model in models} == owners.keys() == {"snapshots", "bios", "internals"}
    assert all(owners.values())
    # Other groups may read only the internals that marts read.
    shared = {model.name for model in models if model.group == "internals" and model.access.value != "private"}
    assert shared == {
        "int_memberships", "int_snapshot_candidates", "int_month_stats", "int_bio_inputs", "int_highlights",
    }  # fmt: skip
    for exposure in manifest.exposures.values():
        assert exposure.owner.name, exposure.name
        assert exposure.maturity, exposure.name


def test_models_seeds_and_sources_are_described(parsed: tuple[Any, list[str]]) -> None:
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


def test_singular_tests_and_unit_tests_are_described(parsed: tuple[Any, list[str]]) -> None:
    tests = [node for node in parsed[0].nodes.values() if node.resource_type == "test"]
    files = {node.original_file_path for node in tests if node.original_file_path.endswith(".sql")}
    assert len(files) > 10
    assert [node.name for node in tests if node.original_file_path in files and not node.description] == []
    assert len(parsed[0].unit_tests) > 60
    assert [unit_test.name for unit_test in parsed[0].unit_tests.values() if not unit_test.description] == []


def test_public_models_have_an_enforced_contract(parsed: tuple[Any, list[str]]) -> None:
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


def test_published_views_depend_on_published_relations_only(parsed: tuple[Any, list[str]]) -> None:
    """dbt drops unpublished relations with cascade, and WhiteBalloon may drop its own: no view may depend on either."""
    manifest = parsed[0]
    manifest.build_parent_and_child_maps()
    views = [node for node in manifest.nodes.values() if node.config.materialized == "published_view"]
    assert len(views) == 6
    for view in views:
        assert set(manifest.parent_map[view.unique_id]) <= TABLES | {"model.signal_profiles.signal_profile_links"}
    # All published tables are built after the gate that checks the snapshots.
    for name in TABLES - {PUBLISHED}:
        assert PUBLISHED in manifest.parent_map[name]


def test_public_models_name_a_unit_and_run_the_gate(parsed: tuple[Any, list[str]]) -> None:
    """The gate checks whole units, so a model that names none would be published unchecked."""
    nodes = parsed[0].nodes.values()
    public = {node.unique_id for node in nodes if getattr(node, "access", None) == "public"}
    assert public == {node.unique_id for node in nodes if node.config.meta.get("unit")}
    for node in nodes:
        hooks = [hook.sql for hook in node.config.pre_hook] if node.unique_id in public else []
        assert ("{{ refuse_unsafe_publication() }}" in hooks) == (node.unique_id in public)
        # The hook checks columns and candidates of incremental models.
        assert (node.config.materialized == "incremental") == (node.unique_id in TABLES)


def test_dataclass_schema_and_contract_have_the_same_shape(parsed: tuple[Any, list[str]]) -> None:
    """If the JSON Schema, the Python type or the table changes alone, this fails."""
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


def test_vars_of_the_project_are_all_checked() -> None:
    """A var that check_vars() does not list would be refused by name, though dbt_project.yml has it."""
    text = (PROJECT_DIR / "macros" / "run_start" / "check_vars.sql").read_text()
    for name in project_vars():
        assert f"'{name}': _is_" in text


def test_profile_has_the_projects_number_of_threads() -> None:
    """A profile sees only the vars of the command line, so it repeats the default."""
    profile = (PROJECT_DIR / "profiles.yml").read_text()
    assert f"var('threads', {project_vars()['threads']})" in profile
