"""The snapshot as a Python type, and its hash over the canonical JSON that docs/rules.md describes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class LinkStat:
    """A canonical URL, its domain, and how often the member's messages link to it."""

    url: str
    domain: str
    count: int


@dataclass(frozen=True)
class TagStat:
    """A label, and how often analyses gave it to the member's messages."""

    label: str
    count: int


@dataclass(frozen=True)
class SignalProfileSnapshot:
    """What one member did in one imported group: a row of signal_profile_snapshots. Times are naive UTC."""

    user_id: int
    group_slug: str
    message_count: int
    first_seen_at: datetime
    last_seen_at: datetime
    top_links: tuple[LinkStat, ...]
    top_tags: tuple[TagStat, ...]
    reaction_counts: Mapping[str, int]
    attachment_counts: Mapping[str, int]
    request_ids: tuple[int, ...]

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> "SignalProfileSnapshot":
        """Return the snapshot for a payload as to_dict() returns it; times may also be datetime objects.

        Raises ValueError if a field is missing, unknown or malformed, or if a time has an offset.
        """
        names = {field.name for field in fields(cls)}
        if wrong := names ^ payload.keys():
            raise ValueError(f"a snapshot has exactly the fields {sorted(names)}; missing or unknown: {sorted(wrong)}")
        try:
            return cls(
                user_id=payload["user_id"],
                group_slug=payload["group_slug"],
                message_count=payload["message_count"],
                first_seen_at=_naive(payload["first_seen_at"]),
                last_seen_at=_naive(payload["last_seen_at"]),
                top_links=tuple(LinkStat(**link) for link in payload["top_links"]),
                top_tags=tuple(TagStat(**tag) for tag in payload["top_tags"]),
                reaction_counts=dict(payload["reaction_counts"]),
                attachment_counts=dict(payload["attachment_counts"]),
                request_ids=tuple(payload["request_ids"]),
            )
        except TypeError as error:
            raise ValueError(f"a field of the snapshot has another shape: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the payload, made of JSON types; schemas/signal_profile_snapshot.schema.json describes it.

        The keys of counts are sorted by code point, as in the canonical JSON: jsonb has another order, and a consumer
        may take the first of several equal counts.
        """
        return {
            "user_id": self.user_id,
            "group_slug": self.group_slug,
            "message_count": self.message_count,
            # isoformat() omits a zero fraction and otherwise writes six digits, as the hash requires.
            "first_seen_at": self.first_seen_at.isoformat(),
            "last_seen_at": self.last_seen_at.isoformat(),
            "top_links": [{"url": link.url, "domain": link.domain, "count": link.count} for link in self.top_links],
            "top_tags": [{"label": tag.label, "count": tag.count} for tag in self.top_tags],
            "reaction_counts": dict(sorted(self.reaction_counts.items())),
            "attachment_counts": dict(sorted(self.attachment_counts.items())),
            "request_ids": list(self.request_ids),
        }

    def canonical_json(self) -> str:
        """Return the ASCII text that is hashed: json.dumps with sorted keys and default separators."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def snapshot_hash(self) -> str:
        """Return the SHA-256 of the canonical JSON, in lower-case hex."""
        return hashlib.sha256(self.canonical_json().encode("ascii")).hexdigest()


def _naive(value: datetime | str) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        raise ValueError(f"times of a snapshot are naive UTC, without an offset: {value}")
    return moment
