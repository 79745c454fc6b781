"""Mirrors `fallback_bio(snapshot, analyses) -> BioPayload`, which treats the last analysis as the latest."""

import dataclasses
from collections.abc import Iterable

from .comment_llm_insights_service import CommentInsight
from .signal_profile_snapshot import SignalProfileSnapshot


@dataclasses.dataclass(frozen=True)
class ProofPoint:
    label: str

    def to_dict(self) -> dict[str, str]:
        return {"label": self.label}


@dataclasses.dataclass(frozen=True)
class BioPayload:
    bio_paragraphs: list[str]
    proof_points: list[ProofPoint]
    quotes: list[str]
    confidence_note: str


def fallback_bio(snapshot: SignalProfileSnapshot, analyses: Iterable[CommentInsight]) -> BioPayload:
    comments = [analysis.comment_id for analysis in analyses]
    return BioPayload([f"fallback from {comments}"], [ProofPoint("tag")], ["quote"], "sure")
