"""Mirrors `SignalProfileBioLLM(*, model)` and `.generate(snapshot, analyses) -> BioLLMResult`, which never raises."""

import dataclasses
import sqlite3
import time
from collections.abc import Iterable

from .comment_llm_insights_service import CommentInsight
from .signal_profile_bio_service import BioPayload, ProofPoint, fallback_bio
from .signal_profile_snapshot import SignalProfileSnapshot


@dataclasses.dataclass
class BioLLMResult:
    payload: BioPayload
    raw_response: str
    guardrail_issues: list[str]


class SignalProfileBioLLM:
    """The model `slow` sleeps for each member; another fails for users 1 to 3, and a person overrides user 4's bio."""

    def __init__(self, *, model: str | None = None) -> None:
        if model == "unknown":
            raise RuntimeError("Install it first")
        self._model = model

    def generate(self, snapshot: SignalProfileSnapshot, analyses: Iterable[CommentInsight]) -> BioLLMResult:
        fallback = fallback_bio(snapshot, analyses)
        comments = [analysis.comment_id for analysis in analyses]
        written = dataclasses.replace(fallback, bio_paragraphs=[f"{self._model} from {comments}"], proof_points=[])
        if self._model == "slow":
            time.sleep(0.2)
            return BioLLMResult(written, "{}", [])
        if snapshot.user_id == 1:
            return BioLLMResult(fallback, "", ["llm-error"])
        if snapshot.user_id == 2:
            return BioLLMResult(fallback, "{}", ["forbidden:maybe"])
        if snapshot.user_id == 3:
            return BioLLMResult(BioPayload([], [ProofPoint("tag")], [], "sure"), "{}", [])
        if snapshot.user_id == 4:
            with sqlite3.connect("data/app.db") as connection:
                connection.execute("update user_profile_highlights set manual_override = 1 where user_id = 4")
        return BioLLMResult(written, "{}", [])
