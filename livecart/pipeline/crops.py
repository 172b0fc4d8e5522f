"""Cut-outs of products, in memory only: what a viewer's "not this product", or an unsure decision, is about.

Never the whole frame and never a face; cutting.py sees to both before anything comes here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, Protocol

#: `card`: its card was shown. `unsure`: seen, but never surely enough for a card. `close`: another product was nearly
#: as likely at the same place, and none of the two was shown.
CropReason = Literal["card", "unsure", "close"]


@dataclass(frozen=True, slots=True)
class ProductCrop:
    """A product as it was in the picture, with a small border.

    Attributes:
        room: where.
        sku: the product that the recogniser took it for.
        card_id: of the card that showed it; None: none did.
        confidence: of that look, 0 to 1.
        reason: why it was kept.
        jpeg: no side longer than 400 px.
        captured_at_s: of the frame, UNIX time.
    """

    room: str
    sku: str
    card_id: str | None
    confidence: float
    reason: CropReason
    jpeg: bytes
    captured_at_s: float


class CropSink(Protocol):
    """Takes crops of decisions that were not sure, for people to review."""

    def put(self, crop: ProductCrop) -> None:
        """Leave a crop; called in the event loop, never waits, bounds what it holds by itself."""


class CropSource(Protocol):
    """Gives the crop of a card, for reports that come later."""

    def crop_of(self, card_id: str) -> ProductCrop | None:
        """The card's crop; None: there was none that may be kept, or it is gone by now."""


class CropBook:
    """The crops of the cards shown last, of all rooms of the process; the oldest goes first. One event loop's.

    Args:
        most: crops kept; at 400 px one is some 20 to 60 kB.
    """

    def __init__(self, most: int = 500) -> None:
        self._most = most
        self._crops: OrderedDict[str, ProductCrop] = OrderedDict()

    def keep(self, crop: ProductCrop) -> None:
        """Keep the crop of a card; one of the same card takes its place."""
        if crop.card_id is None:
            raise ValueError(f"a crop of {crop.sku} without a card cannot be found again")
        self._crops[crop.card_id] = crop
        self._crops.move_to_end(crop.card_id)
        while len(self._crops) > self._most:
            self._crops.popitem(last=False)

    def crop_of(self, card_id: str) -> ProductCrop | None:
        """The card's crop; None: there was none that may be kept, or it is gone by now."""
        return self._crops.get(card_id)

    def __len__(self) -> int:
        """Crops held now."""
        return len(self._crops)
