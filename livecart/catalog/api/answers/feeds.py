"""Readings of feeds and tables, and what they change."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from livecart.catalog.api.answers.base import Answer, Count, Seconds, Sku


class RunAnswer(Answer):
    """One reading of a feed."""

    id: int
    source: Annotated[str, Field(examples=["shop"])]
    state: Annotated[str, Field(examples=["done"])]
    started_at_s: Seconds
    finished_at_s: float | None
    fetched: Count
    bad: Count
    created: Count
    changed: Count
    removed: Count
    detail: str | None


class FeedAnswer(Answer):
    """A feed of the settings, and its newest runs."""

    name: Annotated[str, Field(examples=["shop"])]
    every_s: Annotated[float, Field(examples=[300.0])]
    runs: list[RunAnswer]


class FeedsAnswer(Answer):
    """All feeds of the settings."""

    feeds: list[FeedAnswer]


class ChangeAnswer(Answer):
    """The fields of a product that would differ."""

    sku: Sku
    before: Annotated[dict[str, Any], Field(examples=[{"price": "12.90"}])]
    after: Annotated[dict[str, Any], Field(examples=[{"price": "11.90"}])]


class DryRunAnswer(Answer):
    """What a reading would do. Lists end at 1,000 entries, the counts do not."""

    outcome: Annotated[str, Field(description="dry, failed, busy", examples=["dry"])]
    created: Count
    changed: Count
    removed: Count
    bad: Count
    created_skus: list[str]
    changes: list[ChangeAnswer]
    removed_skus: list[str]
    refused: Annotated[str | None, Field(description="Why the guard would change nothing, or the feed failed.")]


class TableAnswer(Answer):
    """What a table did, or of a dry run would do. Lists end at 100 entries, the counts do not."""

    dry_run: bool
    created: Count
    changed: Count
    unchanged: Count
    bad: Count
    changes: list[ChangeAnswer]
    bad_rows: Annotated[list[str], Field(examples=[["products.csv: row 3: price: 'x' is no decimal number"]])]
