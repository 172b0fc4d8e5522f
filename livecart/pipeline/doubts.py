"""Products that the recogniser saw but was not sure enough of: which of them people should have a look at.

A doubt begins with a look in which a product is below the archive's threshold (`unsure`) or another one at its place is
nearly as likely (`close`). It ends without a word when the product, or the other one, gets a card; and for review
when it was not seen for `_OVER_AFTER_S`, if two looks at least had it. A room asks about a product once in ten minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from livecart.pipeline.crops import CropReason, ProductCrop
from livecart.types import BoxXyxyPx, Candidate, Look

#: A product out of sight for so long is no longer in doubt: it has had its chance.
_OVER_AFTER_S = 3.0
#: A room does not ask about the same product again within this time.
_AGAIN_AFTER_S = 600.0
#: Another product that is at most this much less likely at the same place makes it a close call.
_CLOSE_BY = 0.1
_SAME_PLACE_IOU = 0.5
_LEAST_LOOKS = 2
#: A later look's crop takes the place of the one at hand if it is surer by so much.
_BETTER_BY = 0.03
#: In one room: more are not products in doubt, but a recogniser that guesses. The oldest goes.
_MOST_DOUBTS = 16
_MOST_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Doubt:
    """A crop to be made: the product as it is in the look at hand."""

    candidate: Candidate
    box_xyxy_px: BoxXyxyPx
    reason: CropReason


@dataclass(slots=True)
class _Open:
    last_seen_s: float
    looks: int = 0
    asked_confidence: float = -1.0
    rivals: set[str] = field(default_factory=set)
    crop: ProductCrop | None = None


class RoomDoubts:
    """The doubts of one room. Times are those of capture."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._asked_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, look: Look, shown: Iterable[str]) -> tuple[list[Doubt], list[ProductCrop]]:
        """Take in a look; crops to be made of it, and crops of doubts that are over, for review.

        Args:
            look: the newest.
            shown: products that have a card now.
        """
        now_s = look.captured_at_s
        self.settle(shown)
        wanted = []
        for candidate, box, rivals in _in_doubt(look):
            if candidate.sku in shown or rivals & set(shown):
                continue
            if now_s - self._asked_at_s.get(candidate.sku, -_AGAIN_AFTER_S) < _AGAIN_AFTER_S:
                continue
            doubt = self._open.setdefault(candidate.sku, _Open(now_s))
            doubt.last_seen_s, doubt.looks = now_s, doubt.looks + 1
            doubt.rivals |= rivals
            if candidate.confidence >= doubt.asked_confidence + _BETTER_BY:
                doubt.asked_confidence = candidate.confidence
                wanted.append(Doubt(candidate, box, "close" if rivals else "unsure"))
        while len(self._open) > _MOST_DOUBTS:
            self._open.popitem(last=False)
        return wanted, self._over(now_s - _OVER_AFTER_S)

    def keep(self, crop: ProductCrop) -> None:
        """The crop that was asked for was made; without a doubt that is still open it goes."""
        doubt = self._open.get(crop.sku)
        if doubt is not None:
            doubt.crop = crop

    def settle(self, shown: Iterable[str]) -> None:
        """These products have cards: whoever they were in doubt with is settled, too."""
        skus = set(shown)
        for sku in [sku for sku, doubt in self._open.items() if sku in skus or doubt.rivals & skus]:
            del self._open[sku]

    def close(self) -> list[ProductCrop]:
        """The room ends: crops for review."""
        return self._over(float("inf"))

    def _over(self, unseen_since_s: float) -> list[ProductCrop]:
        crops = []
        for sku in [sku for sku, doubt in self._open.items() if doubt.last_seen_s <= unseen_since_s]:
            doubt = self._open.pop(sku)
            if doubt.crop is None or doubt.looks < _LEAST_LOOKS:
                continue
            crops.append(doubt.crop)
            self._asked_at_s[sku] = doubt.last_seen_s
            self._asked_at_s.move_to_end(sku)
            if len(self._asked_at_s) > _MOST_REMEMBERED:
                self._asked_at_s.popitem(last=False)
        return crops


def _in_doubt(look: Look) -> list[tuple[Candidate, BoxXyxyPx, set[str]]]:
    """The most likely product of each place, if it is in doubt, and the rivals that make it so."""
    found: list[tuple[Candidate, BoxXyxyPx, set[str]]] = []
    places: list[BoxXyxyPx] = []
    ranked = sorted(look.candidates, key=lambda each: -each.confidence)
    for candidate in ranked:
        box = candidate.box_xyxy_px
        if box is None or any(_iou(box, place) >= _SAME_PLACE_IOU for place in places):
            continue
        places.append(box)
        rivals = {
            other.sku
            for other in ranked
            if other.sku != candidate.sku
            and other.box_xyxy_px is not None
            and other.confidence >= candidate.confidence - _CLOSE_BY
            and _iou(box, other.box_xyxy_px) >= _SAME_PLACE_IOU
        }
        if rivals or (candidate.threshold is not None and candidate.confidence < candidate.threshold):
            found.append((candidate, box, rivals))
    return found


def _iou(one: BoxXyxyPx, other: BoxXyxyPx) -> float:
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = across * down
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both) if areas > both else 0.0
