"""One result: detections by place, and the products that are seen again and again, never surely.

At each place the most confident detection speaks, the others are overruled.

A patterned table or a picture on the wall may resemble a product well enough to be named again and again, never well
enough for a card. Asking about it once more decides nothing, and asked about in every frame it costs as much as a room
in which something is shown. So after a while its results stop asking for more. A sure one ends that at once, and what
newly comes into the picture is looked at whatever this says (gate/background_model.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from contract.boxes import area
from livecart.core.types import Detection, Detections, ShareBox
from livecart.live.decide.boxes import same_place, to_shares
from livecart.live.decide.vote import is_sure

#: A product is uncertain after so many results below its threshold, and never before one window of the decision is
#: over.
_TIMES = 4
#: Not seen for so long, it begins anew: the background may be another by now.
_FORGOTTEN_AFTER_S = 60.0
#: Products remembered; a frame holds a few at most.
_MOST = 64


@dataclass(frozen=True, slots=True)
class PlacedDetection:
    """One product in one frame. `speaks`: no other product of the frame is more likely at its place."""

    detection: Detection
    box: ShareBox | None
    speaks: bool


def by_place(detections: Detections, least_iou: float) -> list[PlacedDetection]:
    """Each product of the frame once, at its largest box among those where it speaks, if there is one."""
    chosen: dict[str, PlacedDetection] = {}
    places: list[tuple[str, ShareBox | None]] = []
    for detection in sorted(detections.products, key=lambda each: -each.confidence):
        box = to_shares(detection.box_xyxy_px, detections.frame_width_px, detections.frame_height_px)
        first = next((sku for sku, place in places if same_place(place, box, least_iou)), None)
        if first is None:
            places.append((detection.sku, box))
        each = PlacedDetection(detection, box, speaks=first in (None, detection.sku))
        known = chosen.get(detection.sku)
        if known is None or _rank(each) > _rank(known):
            chosen[detection.sku] = each
    return list(chosen.values())


def _rank(each: PlacedDetection) -> tuple[bool, float]:
    return each.speaks, area(each.box) if each.box else 0.0


@dataclass(slots=True)
class _Stretch:
    since_s: float
    last_s: float
    times: int = 1


class UncertainStreaks:
    """Of one room. Times are the room's; `window_s` as in `DecisionSettings`."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._uncertain: dict[str, _Stretch] = {}

    def take(self, products: Iterable[Detection], at_s: float) -> None:
        """One result has these."""
        for detection in products:
            if is_sure(detection):
                self._uncertain.pop(detection.sku, None)
            else:
                self._add(detection.sku, at_s)

    def __contains__(self, sku: object) -> bool:
        known = self._uncertain.get(sku) if isinstance(sku, str) else None
        return known is not None and known.times >= _TIMES and known.last_s - known.since_s >= self._window_s

    def _add(self, sku: str, at_s: float) -> None:
        known = self._uncertain.pop(sku, None)
        if known is None or at_s - known.last_s >= _FORGOTTEN_AFTER_S:
            known = _Stretch(at_s, at_s, times=0)
        known.last_s = max(known.last_s, at_s)
        known.times += 1
        # Put back last: the first is the one that was seen longest ago.
        self._uncertain[sku] = known
        if len(self._uncertain) > _MOST:
            del self._uncertain[next(iter(self._uncertain))]
