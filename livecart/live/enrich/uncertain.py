"""Products that the recogniser saw but was uncertain of, chosen for people to review.

A product is uncertain from the first detections in which it is below the archive's threshold (`uncertain`) or another
one at its place is nearly as likely (`close`). It is settled when the product, or the other one, gets a card; it goes
to review when it was not seen for `_OVER_AFTER_S`, if two frames at least had it. A room asks about a product once in
ten minutes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cachetools import FIFOCache

from contract.boxes import BoxXyxyPx, iou
from livecart.core.types import Detection, Detections
from livecart.live.enrich.crops import CropReason, CropRequest, ProductCrop

#: A product out of sight for so long has had its chance.
_OVER_AFTER_S = 3.0
#: A room does not ask about the same product again within this time.
_AGAIN_AFTER_S = 600.0
#: Another product that is at most this much less likely at the same place makes it a close call.
_CLOSE_BY = 0.1
_SAME_PLACE_IOU = 0.5
_LEAST_FRAMES = 2
#: A later frame's crop takes the place of the one at hand if it is surer by so much.
_BETTER_BY = 0.03
#: In one room: with more the recogniser guesses. The oldest goes.
_MOST_UNCERTAIN = 16
_MOST_REMEMBERED = 200


@dataclass(slots=True)
class _Uncertain:
    last_seen_s: float
    frames: int = 0
    requested_confidence: float = -1.0
    rivals: set[str] = field(default_factory=set)
    crop: ProductCrop | None = None


class UncertainCrops:
    """The uncertain products of one room. Times are those of capture."""

    def __init__(self) -> None:
        self._open: FIFOCache[str, _Uncertain] = FIFOCache(_MOST_UNCERTAIN)
        self._reviewed_at_s: FIFOCache[str, float] = FIFOCache(_MOST_REMEMBERED)

    def update(self, detections: Detections, shown: Iterable[str]) -> tuple[list[CropRequest], list[ProductCrop]]:
        """Take in the newest detections.

        Args:
            detections: the newest.
            shown: products that have a card now.

        Returns:
            Crops to be made of their picture, and crops for review, of products that are gone.
        """
        now_s = detections.captured_at_s
        shown = set(shown)
        for sku in [sku for sku, product in self._open.items() if sku in shown or product.rivals & shown]:
            del self._open[sku]
        requests = []
        for detection, box, rivals in _uncertain_of(detections):
            sku, confidence = detection.sku, detection.confidence
            if sku in shown or rivals & shown or now_s - self._reviewed_at_s.get(sku, -_AGAIN_AFTER_S) < _AGAIN_AFTER_S:
                continue
            product = self._open.setdefault(sku, _Uncertain(now_s))
            product.last_seen_s, product.frames = now_s, product.frames + 1
            product.rivals |= rivals
            if confidence >= product.requested_confidence + _BETTER_BY:
                product.requested_confidence = confidence
                reason: CropReason = "close" if rivals else "uncertain"
                requests.append(CropRequest(detections.room, sku, None, confidence, reason, box, now_s))
        return requests, self._gone(now_s - _OVER_AFTER_S)

    def keep(self, crop: ProductCrop) -> None:
        """Keep the crop that was requested, if its product is still uncertain."""
        product = self._open.get(crop.sku)
        if product is not None:
            product.crop = crop

    def close(self) -> list[ProductCrop]:
        """End the room. Returns crops for review."""
        return self._gone(float("inf"))

    def _gone(self, unseen_since_s: float) -> list[ProductCrop]:
        crops = []
        for sku in [sku for sku, product in self._open.items() if product.last_seen_s <= unseen_since_s]:
            product = self._open.pop(sku)
            if product.crop is not None and product.frames >= _LEAST_FRAMES:
                crops.append(product.crop)
                self._reviewed_at_s[sku] = product.last_seen_s
        return crops


def _uncertain_of(detections: Detections) -> list[tuple[Detection, BoxXyxyPx, set[str]]]:
    """The most likely product of each place, if it is uncertain, and the rivals that make it so."""
    found: list[tuple[Detection, BoxXyxyPx, set[str]]] = []
    places: list[BoxXyxyPx] = []
    ranked = sorted(detections.products, key=lambda each: -each.confidence)
    for detection in ranked:
        box = detection.box_xyxy_px
        if box is None or any(iou(box, place) >= _SAME_PLACE_IOU for place in places):
            continue
        places.append(box)
        rivals = {
            other.sku
            for other in ranked
            if other.sku != detection.sku
            and other.box_xyxy_px is not None
            and other.confidence >= detection.confidence - _CLOSE_BY
            and iou(box, other.box_xyxy_px) >= _SAME_PLACE_IOU
        }
        if rivals or (detection.threshold is not None and detection.confidence < detection.threshold):
            found.append((detection, box, rivals))
    return found
