"""Cards that were shown, what viewers did with them, and crops that staff should look at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from livecart.catalog.api.answers.base import Answer, Count, Digest, Link, Money, RoomName, Seconds, Sku, Text


class CardAnswer(Answer):
    """A card as it was shown, with the price and link of that moment."""

    card_id: Annotated[str, Field(examples=["0123456789abcdef"])]
    room: RoomName
    sku: Sku
    name: Text
    url: Link
    price: Money | None
    currency: str | None
    confidence: Annotated[float, Field(examples=[0.97])]
    shown_at_s: Seconds
    withdrawn_at_s: float | None
    reason: Annotated[str | None, Field(description="Why it was withdrawn.")]


class CardPage(Answer):
    """The newest cards first."""

    cards: list[CardAnswer]
    next_cursor: Annotated[str | None, Field(examples=["1760000000.5:0123456789abcdef"])]


class RecordedAnswer(Answer):
    """How many events were kept, were known already, and named no card of ours."""

    kept: Count
    known: Count
    unknown_card: Count


class FigureAnswer(Answer):
    """What viewers did with the cards of one product, or of one room."""

    name: Annotated[str, Field(description="The sku, or the room.", examples=["1001"])]
    cards: Annotated[int, Field(description="How often its card was shown.", examples=[12])]
    impressions: Count
    clicks: Count
    closes: Count
    wrongs: Annotated[int, Field(description='Reports of "not this product".', examples=[0])]
    dwell_s: Annotated[float, Field(description="Seconds on screen, of all viewers together.")]
    click_rate: Annotated[float, Field(description="Clicks per impression.", examples=[0.08])]
    wrong_rate: Annotated[float, Field(description="Reports per impression.", examples=[0.0])]


class FiguresAnswer(Answer):
    """Those with the most cards first."""

    since_s: Seconds
    figures: list[FigureAnswer]


class ReviewAnswer(Answer):
    """A product crop that staff should look at. `sku`: what the recogniser took it for."""

    id: Annotated[int, Field(examples=[7])]
    state: Literal["pending", "approved", "corrected", "rejected"]
    reason: Annotated[str, Field(examples=["low_margin"])]
    room: RoomName
    sku: Sku
    card_id: str | None
    confidence: float | None
    crop_digest: Digest
    crop_kind: Literal["jpeg", "png", "webp"]
    reports: Count
    created_at_s: Seconds
    decided_at_s: float | None
    decided_by: str | None
    corrected_sku: str | None
    version: Annotated[int, Field(examples=[1])]


class ReviewsAnswer(Answer):
    """Oldest first. `pending`: how many wait in all."""

    reviews: list[ReviewAnswer]
    pending: Count
    next_cursor: Annotated[int | None, Field(examples=[7])]
