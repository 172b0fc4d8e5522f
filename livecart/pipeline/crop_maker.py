"""Has products cut out of pictures in which faces were looked for, and brings the crops to where they belong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from livecart.pipeline.crops import CropBook, CropReason, CropSink, ProductCrop
from livecart.pipeline.cutting import CutRefusal, cut_out
from livecart.pipeline.doubts import RoomDoubts
from livecart.pipeline.faces import FaceFinder
from livecart.types import BoxXyxyPx, CardEvent, Look, Picture

_log = logging.getLogger(__name__)

#: `unsearched`: faces were not looked for, so that nobody knows whether it holds one. `busy`: too much waited.
CropOutcome = Literal["kept", "unsearched", "busy", "failed"] | CutRefusal


class CropMeter(Protocol):
    """Told of every crop."""

    def crop(self, reason: CropReason, outcome: CropOutcome) -> None:
        """One crop was made, or was not."""

    def background_failure(self, where: str) -> None:
        """A fault."""


@dataclass(frozen=True, slots=True)
class CropOrder:
    """A crop to be made of one look's picture; fields as in `ProductCrop`."""

    room: str
    sku: str
    card_id: str | None
    confidence: float
    reason: CropReason
    box_xyxy_px: BoxXyxyPx
    captured_at_s: float


class CropMaker:
    """One for all rooms of a process. All methods belong to the event loop.

    Args:
        finder: whose thread cuts.
        meter: told of every crop.
        book: keeps the crops of cards.
        unsure: takes those of doubts; None: none are made.
    """

    def __init__(self, finder: FaceFinder, meter: CropMeter, book: CropBook, unsure: CropSink | None) -> None:
        self._finder = finder
        self._meter = meter
        self._book = book
        self._unsure = unsure
        self._doubts: dict[str, RoomDoubts] = {}

    def of_card(self, event: CardEvent, look: Look) -> CropOrder | None:
        """What to cut out for a card that follows from the look; None: the look does not say where the product is."""
        best = max(
            (each for each in look.candidates if each.sku == event.sku and each.box_xyxy_px is not None),
            key=lambda each: each.confidence,
            default=None,
        )
        if best is None or best.box_xyxy_px is None:
            return None
        return CropOrder(
            event.room, event.sku, event.card_id, best.confidence, "card", best.box_xyxy_px, look.captured_at_s
        )

    def of_doubts(self, look: Look, shown: Collection[str]) -> list[CropOrder]:
        """What to cut out for review, if anything; doubts that are over go to review. `shown`: skus with cards."""
        if self._unsure is None:
            return []
        doubts = self._doubts.setdefault(look.room, RoomDoubts())
        wanted, over = doubts.take(look, shown)
        self._review(over)
        return [
            CropOrder(
                look.room,
                doubt.candidate.sku,
                None,
                doubt.candidate.confidence,
                doubt.reason,
                doubt.box_xyxy_px,
                look.captured_at_s,
            )
            for doubt in wanted
        ]

    def make(self, order: CropOrder, picture: Picture, faces: Sequence[BoxXyxyPx] | None) -> None:
        """Cut it out, unless a face is in it. `faces`: all of the picture; None: they are not known."""
        if faces is None:
            self._meter.crop(order.reason, "unsearched")
            return
        future = self._finder.run(cut_out, picture, order.box_xyxy_px, faces)
        if future is None:
            self._meter.crop(order.reason, "busy")
        else:
            future.add_done_callback(lambda result: self._made(order, result))

    def forget_room(self, room: str) -> None:
        """The room is gone: its open doubts go to review. Its cards' crops stay: reports come late."""
        doubts = self._doubts.pop(room, None)
        if doubts is not None:
            self._review(doubts.close())

    def _made(self, order: CropOrder, result: asyncio.Future[bytes | CutRefusal]) -> None:
        if result.cancelled():
            return
        error = result.exception()
        if error is not None:
            self._meter.crop(order.reason, "failed")
            self._meter.background_failure("crops")
            _log.error("room %s: %s could not be cut out", order.room, order.sku, exc_info=error)
            return
        jpeg = result.result()
        if isinstance(jpeg, str):
            self._meter.crop(order.reason, jpeg)
            return
        self._meter.crop(order.reason, "kept")
        crop = ProductCrop(
            order.room, order.sku, order.card_id, order.confidence, order.reason, jpeg, order.captured_at_s
        )
        if order.card_id is not None:
            self._book.keep(crop)
        elif order.room in self._doubts:
            self._doubts[order.room].keep(crop)

    def _review(self, crops: list[ProductCrop]) -> None:
        for crop in crops:
            if self._unsure is not None:
                self._unsure.put(crop)
