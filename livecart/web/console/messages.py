"""Messages of `/rooms/{id}/detections` to a host: one JSON object each. docs/live.md has the form."""

import msgspec

from contract.boxes import BoxXyxyPx
from contract.card import CardEvent
from contract.reply import TextLine
from livecart.core.types import RoomView


class SeenProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product of the recogniser's result; `is_shown`: at or above its threshold, so that it counts by itself."""

    sku: str
    name: str
    url: str
    price: str | None
    currency: str | None
    is_from_price: bool
    confidence: float
    threshold: float | None
    is_shown: bool
    box: BoxXyxyPx | None
    #: By kind (photo, text, label), 0 to 1; kinds that were not looked at are left out.
    evidence: dict[str, float]


class SeenDetections(msgspec.Struct, frozen=True, kw_only=True):
    """Detections of one frame; boxes in pixels of a picture `frame_width` x `frame_height`."""

    pts_s: float
    captured_at_s: float
    #: When the room's decision had it, UNIX time.
    decided_at_s: float
    frame_width: int
    frame_height: int
    products: list[SeenProduct]
    texts: list[TextLine]
    #: The recogniser's own stages.
    stage_seconds: dict[str, float]
    #: Results since the message before that were left out: the newest wins.
    skipped: int


class ShownCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that viewers see now."""

    sku: str
    name: str
    url: str
    price: str | None
    currency: str | None
    is_from_price: bool


class ConsoleUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `detections` and `events` hold what is new since the one before; the rest is as it is now."""

    server_time_s: float
    room: RoomView
    cards: list[ShownCard]
    #: What became of frames that passed the gate, so far.
    outcomes: dict[str, int]
    viewers: int
    detections: SeenDetections | None
    #: Oldest first, without those before the connection; the oldest are dropped where too many wait.
    events: list[CardEvent]
    events_missed: int
