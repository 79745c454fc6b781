"""The snapshots by Polars, the tables pulled through ADBC, which reads Postgres's binary COPY.

The link and closing-line rules are cut down to what the generated bodies hold: Rust's expressions have no lookahead.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
from polars import col

from benchmarks.contender import Row, contend

KINDS = Path(__file__).parents[1] / "seeds" / "attachment_kinds.csv"
ORDER = ["created_at", "comment_id", "position"]


def compute(url: str, schema: str) -> Iterable[Row]:
    """Pull the tables and return the snapshots' rows."""

    def pull(query: str) -> pl.LazyFrame:
        return pl.read_database_uri(query.replace("wb.", f'"{schema}".'), url, engine="adbc").lazy()

    memberships = pull(
        "select id as membership_id, user_id, substr(key, 21) as group_slug, '[Signal] ' || trim(value) as title "
        "from wb.user_attributes where starts_with(key, 'signal_import_group:')"
    )
    requests = pull("select id as help_request_id, trim(title) as title from wb.help_requests")
    comments = pull(
        "select id as comment_id, help_request_id, user_id, created_at, body from wb.request_comments "
        "where deleted_at is null"
    )
    analyses = pull("select comment_id, resource_tags, request_tags, tags from wb.comment_llm_analyses")
    members = memberships.join(requests, on="title").select("membership_id", "user_id", "help_request_id")
    messages = comments.join(members, on=["user_id", "help_request_id"]).drop("user_id")
    frames = [
        memberships.select("membership_id", "user_id", "group_slug"),
        _activity(messages),
        _links(messages),
        _tags(messages, analyses),
        _reactions(messages),
        _attachments(messages),
    ]
    # All of them in one go, so that what they share is computed once.
    members_, snapshots, *features = pl.collect_all(frames)
    snapshots = snapshots.join(members_, on="membership_id")
    for feature in features:
        snapshots = snapshots.join(feature, on="membership_id", how="left")
    return (_row(row) for row in snapshots.drop("membership_id").to_dicts())


def _row(row: dict[str, Any]) -> Row:
    lists = {name: row[name] or [] for name in ("top_links", "top_tags")}
    entries = {name: row[name] or [] for name in ("reaction_counts", "attachment_counts")}
    counts = {name: {entry["key"]: entry["count"] for entry in found} for name, found in entries.items()}
    return {**row, **lists, **counts}


def _activity(messages: pl.LazyFrame) -> pl.LazyFrame:
    return messages.group_by("membership_id").agg(
        pl.len().alias("message_count"),
        col("created_at").min().alias("first_seen_at"),
        col("created_at").max().alias("last_seen_at"),
        col("help_request_id").unique().sort().alias("request_ids"),
    )


def _top(found: pl.LazyFrame, key: list[str], name: str) -> pl.LazyFrame:
    """The five of each membership that were found most often, the earlier first where the counts are equal."""
    counted = found.sort(ORDER).group_by("membership_id", *key, maintain_order=True).agg(pl.len().alias("count"))
    ranked = counted.sort("count", descending=True, maintain_order=True)
    return ranked.group_by("membership_id", maintain_order=True).agg(pl.struct(*key, "count").head(5).alias(name))


def _links(messages: pl.LazyFrame) -> pl.LazyFrame:
    tokens = (
        messages.filter(col("body").str.contains("://", literal=True))
        .select("membership_id", "created_at", "comment_id", col("body").str.extract_all(r"\S*://\S+").alias("token"))
        .with_columns(pl.int_ranges(col("token").list.len()).alias("position"))
        .explode("token", "position")
    )
    link = col("token").str.extract(r"(https?://[^\s<>()]*[^\s<>().])")
    origin = link.str.extract(r"^(https?://[^/?#]+)").str.to_lowercase()
    path = link.str.extract(r"^https?://[^/?#]+([^?#]*)")
    parameter = pl.element()
    parameters = (
        link.str.extract(r"\?([^#]*)")
        .fill_null("")
        .str.split("&")
        .list.eval(
            parameter.filter(
                (parameter != "") & ~parameter.str.starts_with("utm_") & ~parameter.str.starts_with("fbclid=")
            )
        )
    )
    query = pl.when(parameters.list.len() > 0).then(pl.lit("?") + parameters.list.join("&")).otherwise(pl.lit(""))
    canonical = tokens.with_columns(
        (origin + pl.when(path == "").then(pl.lit("/")).otherwise(path) + query).alias("url"),
        origin.str.replace(r"^https?://(www\.)?", "").alias("domain"),
    )
    return _top(canonical, ["url", "domain"], "top_links")


def _tags(messages: pl.LazyFrame, analyses: pl.LazyFrame) -> pl.LazyFrame:
    columns = ("resource_tags", "request_tags", "tags")
    labels = pl.concat_list(*(col(column).str.json_decode(pl.List(pl.String)) for column in columns))
    found = (
        messages.select("membership_id", "created_at", "comment_id")
        .join(analyses, on="comment_id")
        .select("membership_id", "created_at", "comment_id", labels.alias("label"))
        .with_columns(pl.int_ranges(col("label").list.len()).alias("position"))
        .explode("label", "position")
        .drop_nulls("label")
    )
    return _top(found, ["label"], "top_tags")


def _counts(entries: pl.LazyFrame, key: str, name: str) -> pl.LazyFrame:
    counted = entries.group_by("membership_id", key).agg(pl.len().alias("count"))
    return counted.group_by("membership_id").agg(pl.struct(col(key).alias("key"), "count").alias(name))


def _reactions(messages: pl.LazyFrame) -> pl.LazyFrame:
    entries = (
        messages.filter(col("body").str.contains("(Reactions: ", literal=True))
        .select("membership_id", col("body").str.extract(r"\(Reactions: (.+)\)$").str.split(",").alias("entry"))
        .explode("entry")
        .select("membership_id", col("entry").str.extract(r"(\S+)$").alias("emoji"))
        .filter(col("emoji").str.contains(r"[^\x00-\x7F]"))
    )
    return _counts(entries, "emoji", "reaction_counts")


def _attachments(messages: pl.LazyFrame) -> pl.LazyFrame:
    kinds = pl.scan_csv(KINDS)
    names = (
        messages.filter(col("body").str.contains("[attachments: ", literal=True))
        .select("membership_id", col("body").str.extract(r"\n\[attachments: ([^\n]+)\]").str.split(",").alias("name"))
        .explode("name")
        .select("membership_id", col("name").str.extract(r"\.([^.]*)$").str.to_lowercase().alias("extension"))
        .join(kinds, on="extension", how="left")
        .with_columns(col("kind").fill_null("other"))
    )
    return _counts(names, "kind", "attachment_counts")


if __name__ == "__main__":
    contend(compute)
