"""What of a room survives a restart of the process: enough never to announce a product a second time for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from livecart.pipeline.decision.boxes import ShareBox
from livecart.types import Candidate


class CardState(msgspec.Struct, frozen=True, kw_only=True):
    """A live card, as in cards.LiveCard."""

    card_id: str
    confidence: float
    sent_box: ShareBox | None
    sent_at_s: float


class ProductState(msgspec.Struct, frozen=True, kw_only=True):
    """A product that was announced or is in sight, as in track.TrackedProduct; without the looks that spoke for it."""

    candidate: Candidate
    last_seen_s: float
    in_sight_since_s: float
    box: ShareBox | None
    missed_looks: int
    prominence: float
    announced_at_s: float | None
    card: CardState | None


class RoomState(msgspec.Struct, frozen=True, kw_only=True):
    """One room; JSON by msgspec. Boxes are shares of the picture, times the room's, `heard_at_s` is wall clock."""

    room: str
    last_event_id: int
    heard_at_s: float
    now_s: float
    pts_s: float | None
    captured_at_s: float
    frame_width_px: int
    frame_height_px: int
    products: list[ProductState]
    pinned: str | None
    #: sku to the wall clock time at which its mute ends; None: until unmuted.
    muted_until_s: dict[str, float | None]
    listed: list[str] | None
    schema: Literal[1] = 1
