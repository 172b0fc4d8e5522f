"""Has products cut out of pictures in which faces were looked for, and brings the crops to where they belong."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from contract.boxes import BoxXyxyPx
from contract.card import CardEvent
from livecart.core.types import Detections, Picture
from livecart.live.enrich.crops import CropCache, CropRefusal, CropRequest, CropSink, ProductCrop, cut_out
from livecart.live.enrich.faces import FaceFinder
from livecart.live.enrich.uncertain import UncertainCrops
from livecart.live.metrics import LiveMetrics

_log = logging.getLogger(__name__)


class CropMaker:
    """One for all rooms of a process. All methods belong to the event loop.

    Args:
        finder: cuts, in its thread; None: nothing is cut out.
        metrics: count every crop.
        cache: keeps the crops of cards.
        review: takes those of uncertain products; None: none are made.
    """

    def __init__(
        self, finder: FaceFinder | None, metrics: LiveMetrics, cache: CropCache, review: CropSink | None
    ) -> None:
        self._finder = finder
        self._metrics = metrics
        self._cache = cache
        self._review = review
        self._uncertain: dict[str, UncertainCrops] = {}

    def of_card(self, event: CardEvent, detections: Detections) -> CropRequest | None:
        """The crop of a card that follows from the detections; None: they do not say where the product is."""
        best = max(
            (each for each in detections.products if each.sku == event.sku and each.box_xyxy_px is not None),
            key=lambda each: each.confidence,
            default=None,
        )
        if best is None or best.box_xyxy_px is None:
            return None
        captured_at_s = detections.captured_at_s
        return CropRequest(
            event.room, event.sku, event.card_id, best.confidence, "card", best.box_xyxy_px, captured_at_s
        )

    def of_uncertain(self, detections: Detections, shown: Iterable[str]) -> list[CropRequest]:
        """Crops for review, if any; those of products that are gone go there. `shown`: skus with cards."""
        if self._review is None:
            return []
        requests, gone = self._uncertain.setdefault(detections.room, UncertainCrops()).update(detections, shown)
        for crop in gone:
            self._review.put(crop)
        return requests

    def make(self, request: CropRequest, picture: Picture, faces: Sequence[BoxXyxyPx] | None) -> None:
        """Cut it out, unless a face is in it. `faces`: all of the picture; None: they are not known."""
        if faces is None or self._finder is None:
            self._metrics.crop(request.reason, "unsearched")
            return
        future = self._finder.run(cut_out, picture, request.box_xyxy_px, faces)
        if future is None:
            self._metrics.crop(request.reason, "busy")
        else:
            future.add_done_callback(lambda result: self._made(request, result))

    def forget_room(self, room: str) -> None:
        """The room is gone: crops of its uncertain products go to review. Its cards' crops stay: reports come late."""
        uncertain = self._uncertain.pop(room, None)
        if uncertain is not None and self._review is not None:
            for crop in uncertain.close():
                self._review.put(crop)

    def _made(self, request: CropRequest, result: asyncio.Future[bytes | CropRefusal]) -> None:
        if result.cancelled():
            return
        error = result.exception()
        if error is not None:
            self._metrics.crop(request.reason, "failed")
            self._metrics.background_failure("crops")
            _log.error("room %s: %s could not be cut out", request.room, request.sku, exc_info=error)
            return
        jpeg = result.result()
        if isinstance(jpeg, str):
            self._metrics.crop(request.reason, jpeg)
            return
        self._metrics.crop(request.reason, "kept")
        crop = ProductCrop(
            request.room,
            request.sku,
            request.card_id,
            request.confidence,
            request.reason,
            jpeg,
            request.captured_at_s,
        )
        if request.card_id is not None:
            self._cache.keep(crop)
        elif request.room in self._uncertain:
            self._uncertain[request.room].keep(crop)
