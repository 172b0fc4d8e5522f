"""The values that livecart's parts hand to each other. No behaviour, no input or output.

Units: times in seconds. `captured_at_s` and every `*_at_s` is wall clock (UNIX time); `pts_s` is the stream's own
presentation time. Boxes are (x1, y1, x2, y2) in pixels of the stream's picture, upright, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

BoxXyxyPx = tuple[float, float, float, float]


class Picture(Protocol):
    """One decoded picture. Conversions are made when asked for: most pictures are skipped by the gate."""

    @property
    def width_px(self) -> int:
        """Width as displayed, rotation applied."""

    @property
    def height_px(self) -> int:
        """Height as displayed, rotation applied."""

    def thumbnail(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """The whole picture squeezed to (height_px, width_px, 3), RGB, 0 to 255."""

    def jpeg(self, longest_side_px: int) -> tuple[bytes, float]:
        """The picture as JPEG, no side longer than asked, and the scale it was made at: 0 < scale <= 1."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled picture of one room's stream."""

    room: str
    picture: Picture
    pts_s: float
    captured_at_s: float
    #: Where the recogniser is to look first, and alone if it surely finds a product there; None: everywhere.
    focus_xyxy_px: BoxXyxyPx | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a product in one frame, each 0 to 1; None: that kind was not looked at."""

    photo: float | None = None
    text: float | None = None
    label: float | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line read on packaging."""

    text: str
    confidence: float
    box_xyxy_px: BoxXyxyPx


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product that the recogniser would show in one frame."""

    sku: str
    name: str
    url: str
    confidence: float
    #: None where only a label of the whole frame spoke for it.
    box_xyxy_px: BoxXyxyPx | None
    #: Decimal as text, such as "12.90"; None where the catalog names none.
    price: str | None = None
    currency: str | None = None
    #: From which confidence the archive would show it by itself; None: it did not say.
    threshold: float | None = None
    #: The shop's photo of it, https or a path of the hub's own.
    image_url: str | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What the recogniser saw in one frame: at or above their thresholds, best first, often nothing."""

    room: str
    pts_s: float
    captured_at_s: float
    frame_width_px: int
    frame_height_px: int
    candidates: tuple[Candidate, ...]
    #: The archive's timing_ms, in seconds by stage.
    stage_seconds: dict[str, float]
    texts: tuple[TextLine, ...] = ()
    #: The frame's, for as long as the look is at hand: faces are looked for, and products cut out, in it.
    picture: Picture | None = field(default=None, compare=False, repr=False)
    #: Frames that the archive answered together, this one among them; the stages' times are of all.
    batch: int = 1


class CardEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What goes over the bus and to viewers; docs/live.md describes each field. JSON by msgspec.

    `card` shows a product, `update` moves its box, `withdraw` takes it away. `card_id` is the same in all three, so
    that a viewer matches them; `event_id` grows by one in each room, so that a viewer can resume. All times as in
    this module's docstring; `box` and `avoid` in pixels of a picture `frame_width` x `frame_height`.
    """

    event: Literal["card", "update", "withdraw"]
    event_id: int
    card_id: str
    room: str
    sku: str
    name: str
    url: str
    price: str | None
    currency: str | None
    confidence: float
    box: tuple[float, float, float, float] | None
    frame_width: int
    frame_height: int
    pts_s: float
    captured_at_s: float
    decided_at_s: float
    emitted_at_s: float
    #: Faces that a card must not cover, often none; None: nobody looked for them.
    avoid: tuple[tuple[float, float, float, float], ...] | None = None
    #: The product's picture, https or a path of the hub's own.
    image_url: str | None = None
    #: Of a withdraw only: "gone", "replaced", "muted", "stream_lost", "room_closed", "off_sale", "host".
    reason: str | None = None
    schema: Literal[1] = 1


StreamState = Literal["connecting", "live", "stalled", "reconnecting", "ended", "closed"]


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """One running room, for people and consoles. `source` has no user, password or query."""

    id: str
    source: str
    #: Who named it last: the file of `livecart run`, or an HTTP client.
    owner: Literal["file", "http"] = "file"
    state: str
    #: One sentence about the state, and since when, UNIX time.
    detail: str
    since_s: float
    rate_hz: float
    products: list[str] | None
    pinned: str | None
    muted: list[str]
    #: The sku of each card that viewers see now.
    cards: list[str]
    #: How frames are decoded: "key_frames", "all_frames", or "unknown" before the first.
    decode_mode: str
    frames_sampled: int
    frames_decoded: int
    #: What the gate decided, by reason.
    gate: dict[str, int]
    connections: int
    failures: int
    stalls: int
    last_event_id: int
