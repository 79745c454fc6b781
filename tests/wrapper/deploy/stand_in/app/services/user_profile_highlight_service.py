"""Mirrors `HighlightMeta`, `get(session, user_id)` and `upsert_auto(session, *, …)`, which leaves overrides alone.

Like WhiteBalloon's, they read a row once per session and leave the commit to the caller.
"""

import dataclasses
import json
from datetime import datetime

from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Highlight(Base):
    """bio_text holds what was passed to upsert_auto, as JSON."""

    __tablename__ = "user_profile_highlights"

    user_id: Mapped[int] = mapped_column(primary_key=True)
    bio_text: Mapped[str]
    source_group: Mapped[str | None]
    snapshot_hash: Mapped[str | None]
    snapshot_last_seen_at: Mapped[datetime | None]
    generated_at: Mapped[datetime]
    is_stale: Mapped[bool]
    manual_override: Mapped[bool]


@dataclasses.dataclass(frozen=True)
class HighlightMeta:
    source_group: str | None
    llm_model: str | None
    snapshot_last_seen_at: datetime
    guardrail_issues: list[str]
    stale_after: datetime | None = None


def get(session: Session, user_id: int) -> Highlight | None:
    return session.get(Highlight, user_id)


def upsert_auto(
    session: Session,
    *,
    user_id: int,
    bio_paragraphs: list[str],
    proof_points: list[dict[str, str]],
    quotes: list[str],
    confidence_note: str,
    snapshot_hash: str,
    meta: HighlightMeta,
) -> Highlight:
    highlight = session.get(Highlight, user_id)
    if highlight is not None and highlight.manual_override:
        return highlight
    if highlight is None:
        highlight = Highlight(user_id=user_id, manual_override=False)
        session.add(highlight)
    passed = [bio_paragraphs, proof_points, quotes, confidence_note, meta.llm_model, meta.guardrail_issues]
    highlight.bio_text = json.dumps(passed)
    highlight.source_group = meta.source_group
    highlight.snapshot_hash = snapshot_hash
    highlight.snapshot_last_seen_at = meta.snapshot_last_seen_at
    highlight.generated_at = datetime(2026, 1, 1)
    highlight.is_stale = False
    session.flush()
    return highlight
