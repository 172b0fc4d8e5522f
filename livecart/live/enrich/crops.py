"""Crops of products, in memory only: what a viewer's "not this product", or an uncertain decision, is about.

Never the whole frame, and no face that the detector found: `cut_out` sees to both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cachetools import FIFOCache

from contract.boxes import BoxXyxyPx, area, intersection
from livecart.core.types import Picture
from livecart.live.enrich.faces import MOST_FACES
from livecart.live.video.picture import ArrayPicture

#: `card`: its card was shown. `uncertain`: seen, but never surely enough for a card. `close`: another product was
#: nearly as likely at the same place, and none of the two was shown.
CropReason = Literal["card", "uncertain", "close"]

#: Why nothing was cut out: the box is the scene's, or too small to tell anything, or holds a face.
CropRefusal = Literal["scene", "small", "face"]

#: Longest side of a crop.
_LONGEST_SIDE_PX = 400
#: On each side, as a share of the box's longer side; left out where a face is in it.
_BORDER = 0.08
#: A box of more than this share of the picture is no product's but the scene's.
_MOST_OF_PICTURE = 0.7
_LEAST_SIDE_PX = 32
#: Detectors' boxes end at chin and forehead: that much of the face's longer side more is face, too.
_FACE_BORDER = 0.15


@dataclass(frozen=True, slots=True)
class CropRequest:
    """A crop to be made of the picture at hand; fields as in `ProductCrop`."""

    room: str
    sku: str
    card_id: str | None
    confidence: float
    reason: CropReason
    box_xyxy_px: BoxXyxyPx
    captured_at_s: float


@dataclass(frozen=True, slots=True)
class ProductCrop:
    """A product as it was in the picture, with a small border."""

    room: str
    #: The product that the recogniser took it for.
    sku: str
    #: Of the card that showed it; None: none did.
    card_id: str | None
    #: Of that detection, 0 to 1.
    confidence: float
    reason: CropReason
    #: No side longer than 400 px.
    jpeg: bytes
    #: Of the frame, UNIX time.
    captured_at_s: float


class CropSink(Protocol):
    """Takes crops of decisions that were not sure, for people to review."""

    def put(self, crop: ProductCrop) -> None:
        """Leave a crop; called in the event loop, never waits, bounds what it holds by itself."""


class CropCache:
    """The crops of the cards shown last, of all rooms of the process; the oldest goes first. One event loop's.

    Args:
        most: crops kept; at 400 px one is some 20 to 60 kB.
    """

    def __init__(self, most: int = 500) -> None:
        self._crops: FIFOCache[str, ProductCrop] = FIFOCache(most)

    def keep(self, crop: ProductCrop) -> None:
        """Keep the crop of a card; one of the same card takes its place."""
        if crop.card_id is None:
            raise ValueError(f"a crop of {crop.sku} without a card cannot be found again")
        self._crops[crop.card_id] = crop

    def crop_of(self, card_id: str) -> ProductCrop | None:
        """The card's crop, for reports that come later; None: there is none that may be kept, or it is gone."""
        return self._crops.get(card_id)

    def __len__(self) -> int:
        return len(self._crops)


def cut_out(picture: Picture, box_xyxy_px: BoxXyxyPx, faces: Sequence[BoxXyxyPx]) -> bytes | CropRefusal:
    """The product as JPEG, no side longer than 400 px; a word where it must not be kept.

    Args:
        picture: it is in.
        box_xyxy_px: around it, in pixels of the picture.
        faces: of the picture. `MOST_FACES` of them are a crowd, of which others were left out: nothing is cut out.
    """
    width_px, height_px = picture.width_px, picture.height_px
    bare = _grown_within(box_xyxy_px, 0.0, width_px, height_px)
    if min(bare[2] - bare[0], bare[3] - bare[1]) < _LEAST_SIDE_PX:
        return "small"
    most = _MOST_OF_PICTURE * width_px * height_px
    if area(bare) > most:
        return "scene"
    if len(faces) >= MOST_FACES:
        return "face"
    near = [_grown_within(face, _FACE_BORDER, width_px, height_px) for face in faces]
    bordered = _grown_within(box_xyxy_px, _BORDER, width_px, height_px)
    for box in (bordered, bare):
        if area(box) <= most and not any(intersection(box, face) > 0 for face in near):
            return _jpeg(picture, box)
    return "face"


def _grown_within(box: BoxXyxyPx, share: float, width_px: int, height_px: int) -> BoxXyxyPx:
    """The box with so much of its longer side more on each side, as far as it is in the picture."""
    by = share * max(box[2] - box[0], box[3] - box[1])
    x1, y1 = max(0.0, box[0] - by), max(0.0, box[1] - by)
    return x1, y1, min(float(width_px), box[2] + by), min(float(height_px), box[3] + by)


def _jpeg(picture: Picture, box: BoxXyxyPx) -> bytes:
    # Scaled whole, then cut: the picture's colours are converted at the crop's scale, not at the stream's.
    scale = min(1.0, _LONGEST_SIDE_PX / max(box[2] - box[0], box[3] - box[1]))
    width_px, height_px = max(1, round(picture.width_px * scale)), max(1, round(picture.height_px * scale))
    across, down = width_px / picture.width_px, height_px / picture.height_px
    # Inwards: rounding takes in nothing from outside of the box.
    x1, y1 = -int(-box[0] * across // 1), -int(-box[1] * down // 1)
    x2, y2 = int(box[2] * across), int(box[3] * down)
    pixels = picture.thumbnail(width_px, height_px)[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return ArrayPicture(pixels).jpeg(_LONGEST_SIDE_PX)[0]
