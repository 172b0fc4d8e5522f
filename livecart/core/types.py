"""The values that livecart's parts hand to each other. No behaviour, no input or output.

Units: times in seconds. `captured_at_s` and every `*_at_s` is wall clock (UNIX time); `pts_s` is the stream's own
presentation time. Boxes are (x1, y1, x2, y2) in pixels of the stream's picture, upright, x to the right, y down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxy, BoxXyxyPx
from contract.card import PlatformOffer, Selling
from contract.reply import Evidence, TextLine

#: x1, y1, x2, y2 as shares of the picture's width and height, 0 to 1.
ShareBox = BoxXyxy
#: Presentation and capture time: which frame of a room it is.
FrameKey = tuple[float, float]


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
    roi_xyxy_px: BoxXyxyPx | None = None
    #: The picture is left for right; None: the recogniser finds out.
    mirror: bool | None = None

    @property
    def key(self) -> FrameKey:
        return self.pts_s, self.captured_at_s


@dataclass(frozen=True, slots=True)
class Detection:
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
    #: The catalog's, of other platforms.
    offers: tuple[PlatformOffer, ...] = ()
    is_from_price: bool = False
    selling: Selling | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections of one frame: at or above their thresholds, best first, often none."""

    room: str
    pts_s: float
    captured_at_s: float
    frame_width_px: int
    frame_height_px: int
    products: tuple[Detection, ...]
    #: The archive's timing_ms, in seconds by stage.
    stage_seconds: dict[str, float]
    texts: tuple[TextLine, ...] = ()
    #: Keypoints match left for right; None: none decided it.
    mirrored: bool | None = None
    #: The frame's, for as long as the result is at hand: faces are looked for, and products cut out, in it.
    picture: Picture | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> FrameKey:
        return self.pts_s, self.captured_at_s


@dataclass(frozen=True, slots=True)
class InSight:
    """Products of a room after a result was decided on.

    Attributes:
        boxes: Products in the last frame by sku; None where only a label spoke for one.
        shown: Those of them whose cards are shown: the others may be lost without a new result.
        uncertain: Those of them that the recogniser would not show by that frame alone.
        pending: One more result could soon announce one of them.
        missing: A product whose card is shown was not seen.
    """

    boxes: Mapping[str, ShareBox | None] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    uncertain: frozenset[str] = frozenset()
    pending: bool = False
    missing: bool = False


StreamState = Literal["connecting", "live", "stalled", "reconnecting", "ended", "closed"]


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """One running room, for people and consoles. `source` has no user, password or query."""

    id: str
    source: str
    #: Who named it last: the file of `livecart run`, or an HTTP client.
    owner: Literal["file", "http"] = "file"
    #: Tickets of hosts and publishers of an earlier one are refused.
    ticket_generation: int = 0
    state: str
    #: One sentence about the state, and since when, UNIX time.
    detail: str
    since_s: float
    rate_hz: float
    #: The picture is left for right; None: not known yet.
    mirrored: bool | None = None
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


class HostControls(Protocol):
    """Commands and views of the rooms on air, for a host or staff. None: no such room. Nothing blocks."""

    def views(self) -> list[RoomView]:
        """All rooms, by id."""

    def pin(self, room: str, sku: str, detection: Detection | None = None) -> RoomView | None:
        """Show a product until it is unpinned.

        Raises:
            SettingsError: it is not on the room's own list.
        """

    def unpin(self, room: str) -> RoomView | None:
        """End that; the card stays while the product is in sight."""

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        """Do not show a product for so many seconds, None: until unmuted.

        Raises:
            SettingsError: the time is not more than 0.
        """

    def unmute(self, room: str, sku: str) -> RoomView | None:
        """End a mute."""

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        """Take a product's card away."""
