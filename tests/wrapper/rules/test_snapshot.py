"""The snapshot's type, its canonical JSON and its hash are as specified."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper import LinkStat, SignalProfileSnapshot, TagStat
from wrapper.dbt_project import PROJECT_DIR

SCHEMA = json.loads((PROJECT_DIR / "schemas" / "signal_profile_snapshot.schema.json").read_text())

FULL = SignalProfileSnapshot(
    user_id=42,
    group_slug="harvardstcommons",
    message_count=12,
    first_seen_at=datetime(2024, 3, 18, 12),
    last_seen_at=datetime(2024, 3, 19, 12, 0, 0, 123000),
    top_links=(LinkStat("https://partiful.com/e/demo", "partiful.com", 3),),
    top_tags=(TagStat("housing", 5),),
    reaction_counts={"😂": 2, "❤️": 4},
    attachment_counts={"image": 1},
    request_ids=(101, 202),
)
EMPTY = SignalProfileSnapshot(7, "g", 1, datetime(2024, 1, 1), datetime(2024, 1, 1), (), (), {}, {}, ())


@pytest.mark.parametrize(
    ("snapshot", "canonical", "digest"),
    [
        (
            FULL,
            '{"attachment_counts": {"image": 1}, "first_seen_at": "2024-03-18T12:00:00", "group_slug": '
            '"harvardstcommons", "last_seen_at": "2024-03-19T12:00:00.123000", "message_count": 12, "reaction_counts": '
            '{"\\u2764\\ufe0f": 4, "\\ud83d\\ude02": 2}, "request_ids": [101, 202], "top_links": [{"count": 3, '
            '"domain": "partiful.com", "url": "https://partiful.com/e/demo"}], "top_tags": [{"count": 5, "label": '
            '"housing"}], "user_id": 42}',
            "3eed1983d5e9cf6c02fa6ba1204220505d69c4aa2ef2ed1238f3badab5508e0a",
        ),
        (
            EMPTY,
            '{"attachment_counts": {}, "first_seen_at": "2024-01-01T00:00:00", "group_slug": "g", "last_seen_at": '
            '"2024-01-01T00:00:00", "message_count": 1, "reaction_counts": {}, "request_ids": [], "top_links": [], '
            '"top_tags": [], "user_id": 7}',
            "f68e6f44e5f1daacfc04e98bf78896b61604c77854dc91f1b0d2649a70ab2ebc",
        ),
    ],
)
def test_canonical_json_and_hash_are_those_of_the_two_specified_examples(
    snapshot: SignalProfileSnapshot, canonical: str, digest: str
) -> None:
    assert snapshot.canonical_json() == canonical
    assert snapshot.snapshot_hash() == digest


def test_keys_are_sorted_by_code_point_and_not_by_utf_16() -> None:
    text = SignalProfileSnapshot.from_dict({**EMPTY.to_dict(), "reaction_counts": {"😂": 1, "\uff5e": 2, "z": 3}})
    assert '{"z": 3, "\\uff5e": 2, "\\ud83d\\ude02": 1}' in text.canonical_json()
    # Consumers that keep the first of equals read the same order.
    assert list(text.to_dict()["reaction_counts"]) == ["z", "\uff5e", "😂"]


def test_control_characters_are_escaped_as_json_dumps_does_and_a_slash_is_not() -> None:
    snapshot = SignalProfileSnapshot.from_dict({**EMPTY.to_dict(), "group_slug": 'a\n\t\x01\x7f/"\\é'})
    assert '"group_slug": "a\\n\\t\\u0001\\u007f/\\"\\\\\\u00e9"' in snapshot.canonical_json()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(1, 2**40)
times = st.datetimes(min_value=datetime(1970, 1, 1)).map(datetime.isoformat)
payloads = st.fixed_dictionaries(
    {
        "user_id": st.integers(-(2**63), 2**63 - 1),
        "group_slug": texts.filter(bool),
        "message_count": counts,
        "first_seen_at": times,
        "last_seen_at": times,
        "top_links": st.lists(
            st.fixed_dictionaries({"url": texts.map("https://a/".__add__), "domain": st.just("a"), "count": counts})
        ),
        "top_tags": st.lists(st.fixed_dictionaries({"label": texts.filter(bool), "count": counts})),
        "reaction_counts": st.dictionaries(texts, counts),
        "attachment_counts": st.dictionaries(st.sampled_from(["image", "other"]), counts),
        "request_ids": st.lists(counts, unique=True),
    }
)


@given(payloads)
def test_payload_after_a_round_trip_is_unchanged(payload: dict[str, Any]) -> None:
    snapshot = SignalProfileSnapshot.from_dict(payload)
    assert snapshot.to_dict() == payload
    assert json.loads(snapshot.canonical_json()) == payload
    assert SignalProfileSnapshot.from_dict(json.loads(json.dumps(payload))).snapshot_hash() == snapshot.snapshot_hash()
    jsonschema.validate(payload, SCHEMA)


@pytest.mark.parametrize(
    "payload",
    [
        {key: value for key, value in FULL.to_dict().items() if key != "user_id"},
        {**FULL.to_dict(), "username": "ana"},
        {**FULL.to_dict(), "first_seen_at": "2024-01-01T00:00:00+00:00"},
        {**FULL.to_dict(), "last_seen_at": datetime(2024, 1, 1, tzinfo=UTC)},
    ],
)
def test_payload_of_another_shape_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        SignalProfileSnapshot.from_dict(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "42"},
        {"group_slug": ""},
        {"message_count": 0},
        {"first_seen_at": "2024-01-01 00:00:00"},
        {"last_seen_at": "2024-01-01T00:00:00.123"},
        {"top_links": [{"url": "ftp://a/", "domain": "a", "count": 1}]},
        {"top_tags": [{"label": "a"}]},
        {"reaction_counts": {"👍": 0}},
        {"attachment_counts": {"picture": 1}},
        {"request_ids": [1, 1]},
        {"extra": 1},
    ],
)
def test_published_schema_refuses_payloads_that_are_not_snapshots(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**FULL.to_dict(), **change}, SCHEMA)


def test_published_schema_is_a_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
