"""Mirrors the fields of `CommentInsight`."""

import dataclasses


@dataclasses.dataclass
class CommentInsight:
    comment_id: int
    help_request_id: int
    run_id: str
    summary: str
    resource_tags: list[str]
    request_tags: list[str]
    audience: str
    residency_stage: str
    location: str
    location_precision: str
    urgency: str
    sentiment: str
    tags: list[str]
    notes: str
    recorded_at: str
