"""Writes viewers' feedback to the catalog's store, and crops of products they call wrong to the review queue.

Batches of many viewers are written together, in a thread, one transaction for up to 500 events. What could not be
written is not acknowledged, so that viewers send it again; what is sent twice is kept once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.orm import Session

from livecart.core.background import Backoff
from livecart.live.enrich.crops import CropCache, ProductCrop
from livecart.server.review_gate import FeedbackSettings, ReviewGate
from livecart.shop.errors import InvalidValue, StoreUnavailable
from livecart.shop.repositories import reviews, viewer_events
from livecart.shop.repositories.reviews import Review, ReviewReason
from livecart.shop.repositories.viewer_events import MOST_PER_BATCH, Recorded, ViewerEvent
from livecart.shop.service import CatalogService
from livecart.web.hub import ViewerFeedback

_log = logging.getLogger(__name__)
T = TypeVar("T")
_WHO = "viewers"
#: A card's first impression may come before the card itself is in the store.
_CARD_WITHIN_S = 2.0
#: Crops that wait for the database; the oldest goes first.
_MOST_CROPS = 200
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0


@dataclass
class _Waiting:
    events: list[ViewerEvent]
    done: asyncio.Future[Recorded]


@dataclass(frozen=True)
class _CropForReview:
    crop: ProductCrop
    reason: ReviewReason
    reports: int


class FeedbackMetrics:
    """Counters of events and crops by outcome. Every name begins with `livecart_feedback_`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "livecart_feedback_stored_events",
            "Viewers' events: `kept`, `known`, of an `unknown_card`, `invalid`, or not taken (`full`)",
            ["outcome"],
            registry=registry,
        )
        self._crops = Counter(
            "livecart_feedback_crops",
            "Reports and uncertain crops: a verdict of the gate, `no_crop`, `queue_full`, `dropped`, or `failed`",
            ["reason", "outcome"],
            registry=registry,
        )
        self.waiting = Gauge("livecart_feedback_waiting_events", "Events that wait for the store", registry=registry)

    def events(self, outcome: str, count: int) -> None:
        if count:
            self._events.labels(outcome).inc(count)

    def crop(self, reason: ReviewReason, outcome: str) -> None:
        self._crops.labels(reason, outcome).inc()


class StoreFeedback:
    """A `FeedbackSink` and a `CropSink` over the catalog's store, to be closed before it. For one event loop."""

    def __init__(
        self,
        service: CatalogService,
        crops: CropCache,
        settings: FeedbackSettings,
        registry: CollectorRegistry,
        on_failure: Callable[[str], None],
    ) -> None:
        self._service = service
        self._crops_of_cards = crops
        self._settings = settings
        self._metrics = FeedbackMetrics(registry)
        self._on_failure = on_failure
        self._gate = ReviewGate(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="livecart-feedback")
        self._waiting: deque[_Waiting] = deque()
        self._waiting_events = 0
        self._for_review: deque[_CropForReview] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._metrics.waiting.set_function(lambda: self._waiting_events)

    async def keep(self, events: Sequence[ViewerFeedback]) -> None:
        """Raise `StoreUnavailable`, nothing acknowledged, where the database is away or too much waits for it."""
        usable = [(event, made) for event in events if (made := self._read(event)) is not None]
        # Looked up now: until the database has answered, the room may be gone, and its crops with it.
        crops = {event.card_id: self._crops_of_cards.crop_of(event.card_id) for event, _ in usable}
        recorded = await self._record([made for _, made in usable])
        if recorded.unknown_cards:
            await asyncio.sleep(_CARD_WITHIN_S)
            late = [made for _, made in usable if made.card_id in recorded.unknown_cards]
            again = await self._record(late)
            self._metrics.events("unknown_card", again.unknown_card)
            recorded = replace(recorded, unknown_cards=again.unknown_cards)
        for event, made in usable:
            if event.kind == "wrong" and made.card_id not in recorded.unknown_cards:
                self._report(event, crops[event.card_id])

    def put(self, crop: ProductCrop) -> None:
        """Take the crop of an uncertain decision."""
        verdict = self._gate.uncertain(room=crop.room, sku=crop.sku)
        self._metrics.crop("low_margin", verdict)
        if verdict == "submit":
            self._review(_CropForReview(crop, "low_margin", 1))

    async def close(self, within_s: float = 3.0) -> None:
        """Write what waits, for so long at the most; what is not written then was not acknowledged, or is dropped."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=within_s)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for waiting in self._waiting:
            waiting.done.cancel()
        if self._for_review:
            _log.warning("%d crops for review are dropped: the store did not take them in time", len(self._for_review))
        self._thread.shutdown(wait=False, cancel_futures=True)

    # Events

    def _read(self, event: ViewerFeedback) -> ViewerEvent | None:
        made = ViewerEvent(
            event_key=event.id, kind=event.kind, card_id=event.card_id, viewer=event.viewer, dwell_s=event.dwell_s
        )
        try:
            viewer_events.check(made)
        except InvalidValue as error:
            # It never will be usable: it must not keep its batch from being acknowledged.
            _log.debug("room %s: an event is left out: %s", event.room, error)
            self._metrics.events("invalid", 1)
            return None
        return made

    async def _record(self, events: list[ViewerEvent]) -> Recorded:
        if not events:
            return Recorded(0, 0)
        if self._waiting_events + len(events) > self._settings.most_waiting_events:
            self._metrics.events("full", len(events))
            raise StoreUnavailable("store_behind", count=self._waiting_events)
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_events += len(events)
        self._ensure("events", self._write_events)
        return await waiting.done

    async def _write_events(self) -> None:
        while self._waiting:
            group = self._next_group()
            events = [event for waiting in group for event in waiting.events]
            try:
                recorded = await self._in_thread(partial(self._service.store.edit, _WHO, partial(_record_all, events)))
            except asyncio.CancelledError:
                for waiting in group:
                    waiting.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001  whatever it was, those who wait must hear of it
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_exception(error)
            else:
                self._metrics.events("kept", recorded.kept)
                self._metrics.events("known", recorded.known)
                for waiting in group:
                    if not waiting.done.done():
                        unknown = [e.card_id for e in waiting.events if e.card_id in recorded.unknown_cards]
                        waiting.done.set_result(Recorded(0, 0, len(unknown), frozenset(unknown)))

    def _next_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        count = len(group[0].events)
        while self._waiting and count + len(self._waiting[0].events) <= MOST_PER_BATCH:
            group.append(self._waiting.popleft())
            count += len(group[-1].events)
        self._waiting_events -= count
        return group

    # Crops

    def _report(self, event: ViewerFeedback, crop: ProductCrop | None) -> None:
        if crop is None:
            # No crop of it may be kept, another process shows the room, or it is long ago.
            self._metrics.crop("wrong_report", "no_crop")
            return
        verdict = self._gate.reported(card_id=event.card_id, room=crop.room, sku=crop.sku, source=event.source)
        self._metrics.crop("wrong_report", verdict)
        if verdict in ("submit", "more"):
            reports = self._settings.wrong_viewers if verdict == "submit" else 1
            self._review(_CropForReview(crop, "wrong_report", reports))

    def _review(self, entry: _CropForReview) -> None:
        self._for_review.append(entry)
        if len(self._for_review) > _MOST_CROPS:
            self._metrics.crop(self._for_review.popleft().reason, "dropped")
        self._ensure("crops", self._write_crops)

    async def _write_crops(self) -> None:
        backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        while self._for_review:
            entry = self._for_review.popleft()
            work = partial(_submit, self._service, entry)
            try:
                review = await self._in_thread(partial(self._service.store.edit, _WHO, work))
            except StoreUnavailable as error:
                _log.warning("%d crops wait for the store: %s", len(self._for_review) + 1, error)
                self._on_failure("review_crops")
                self._for_review.appendleft(entry)
                await backoff.wait()
            except Exception:  # noqa: BLE001  a crop that cannot be kept must not keep the next from it
                _log.exception("room %s: a crop of %s is not reviewed", entry.crop.room, entry.crop.sku)
                self._on_failure("review_crops")
                self._metrics.crop(entry.reason, "failed")
            else:
                backoff.reset()
                if review is None:
                    self._metrics.crop(entry.reason, "queue_full")

    # Background

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _ensure(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(work(), name=f"livecart feedback {name}")


def _record_all(events: list[ViewerEvent], session: Session) -> Recorded:
    return viewer_events.record(session, events)


def _submit(service: CatalogService, entry: _CropForReview, session: Session) -> Review | None:
    crop = entry.crop
    return reviews.submit(
        session,
        service.crops,
        crop.jpeg,
        reason=entry.reason,
        room=crop.room,
        sku=crop.sku,
        card_id=crop.card_id,
        confidence=crop.confidence,
        reports=entry.reports,
    )
