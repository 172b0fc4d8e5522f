"""All rooms of one process: added, changed and removed while they run, served by one dispatcher."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol
from weakref import WeakValueDictionary

from livecart.pipeline.crops import CropBook, CropSink
from livecart.pipeline.decision import RoomState
from livecart.pipeline.dispatcher import Dispatcher, DispatcherSettings
from livecart.pipeline.economy import Economy
from livecart.pipeline.faces import FaceFinder, FacesSettings
from livecart.pipeline.finisher import EventFinisher
from livecart.pipeline.look_watch import LookWatch
from livecart.pipeline.mailbox import Mailbox
from livecart.pipeline.meter import Incident, Outcome, Stage
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.offer_book import OfferBook
from livecart.pipeline.plan import RoomPlan
from livecart.pipeline.runner import RoomRunner, Shared
from livecart.pipeline.sinks import EventSink
from livecart.pipeline.supervise import end_task, keep_running
from livecart.types import Frame, Look, RoomView

_log = logging.getLogger(__name__)

_TICK_S = 1.0
#: Rooms that are gone and whose last event's id is remembered, so that one that comes back numbers on.
_MOST_REMEMBERED = 10_000


class ResumingSink(EventSink, Protocol):
    """Where events go, and what is there already."""

    async def resume(self, room: str) -> int:
        """The id after which the room's events go on."""


class Rooms:
    """The running rooms. All methods belong to the event loop in which `start` was called.

    Args:
        sink: where events go.
        metrics: told of everything.
        max_age_s: frames captured longer ago are not sent, see `Mailbox`.
        dispatcher: how hard to ask the recogniser.
        offers: what may be shown; None: whatever the recogniser names.
        crops: keeps those of the cards shown last; None: a book of its own.
        unsure: where crops of decisions that were not sure go; None: nowhere.
        finder: of faces; None: cards do not say where faces are, and no crops are made.
        faces: how often to look for them, and how long cards wait.
    """

    def __init__(
        self,
        sink: ResumingSink,
        metrics: LiveMetrics,
        *,
        max_age_s: float = 2.0,
        dispatcher: DispatcherSettings | None = None,
        crops: CropBook | None = None,
        unsure: CropSink | None = None,
        offers: OfferBook | None = None,
        finder: FaceFinder | None = None,
        faces: FacesSettings | None = None,
    ) -> None:
        self.metrics = metrics
        #: Of the cards shown last.
        self.crops = CropBook() if crops is None else crops
        #: For people who want to see what the recogniser sees.
        self.looks = LookWatch()
        self._sink = sink
        self._finisher = EventFinisher(sink, finder, metrics, book=self.crops, unsure=unsure, settings=faces)
        self._offers = offers
        self._economy = Economy()
        self._meter = _StaleWatch(metrics, self._on_stale, self._economy)
        self._mailbox = Mailbox(max_age_s, meter=self._meter)
        self._dispatcher_settings = dispatcher
        self._dispatcher: Dispatcher | None = None
        self._runners: dict[str, RoomRunner] = {}
        self._last_ids: OrderedDict[str, int] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []
        self._shared: Shared | None = None
        self._closed = False

    def start(self, recognize: Callable[[Frame], Awaitable[Look]]) -> None:
        """Begin to serve; `recognize` asks about one frame."""
        loop = asyncio.get_running_loop()
        self._shared = Shared(loop, self._mailbox, self._finisher, self.metrics, self._offers)
        if self._offers is not None:
            self._offers.start(self._on_offers, self._awaited, self._recheck_offers)

        async def counted(frame: Frame) -> Look:
            self.metrics.in_flight(1)
            try:
                return await recognize(frame)
            finally:
                self.metrics.in_flight(-1)

        dispatcher = self._dispatcher = Dispatcher(
            self._mailbox,
            counted,
            on_look=self._on_look,
            on_lost=self._on_lost,
            settings=self._dispatcher_settings,
            meter=self._meter,
        )
        for name, work in (("dispatcher", dispatcher.run), ("ticker", self._tick)):
            self._tasks.append(loop.create_task(keep_running(name, work, self.metrics), name=f"livecart {name}"))

    @property
    def is_serving(self) -> bool:
        """Whether what serves all rooms runs."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def put(self, plan: RoomPlan) -> RoomRunner:
        """Run the room by this plan, in the place of the one by which it runs now.

        Equal plans change nothing; one that differs in its products only does not interrupt the stream. With the same
        source the room's cards go on; with another they are withdrawn.

        Raises:
            SettingsError: the source cannot be used; the room runs on as it did.
        """
        if self._shared is None or self._closed:
            raise RuntimeError("rooms are put between start() and close()")
        async with self._lock(plan.room):
            running = self._runners.get(plan.room)
            if running is not None and running.plan == plan:
                return running
            if running is not None and replace(running.plan, products=plan.products) == plan:
                running.set_products(plan)
                return running
            return await self._replace(running, plan, self._shared)

    async def remove(self, room: str) -> bool:
        """End the room and withdraw its cards; whether there was such a one."""
        async with self._lock(room):
            runner = self._runners.get(room)
            if runner is None:
                return False
            self._remember(await runner.stop())
            await self._finisher.drain(room)
            self._finisher.forget_room(room)
            # Only now: until its reader has ended it is shown, and counts.
            self._runners.pop(room, None)
            self.metrics.forget_room(room)
            return True

    def get(self, room: str) -> RoomRunner | None:
        """The room's runner; None: there is no such room."""
        return self._runners.get(room)

    def views(self) -> list[RoomView]:
        """All rooms as they are now, by id."""
        return [self._runners[room].view() for room in sorted(self._runners)]

    def product_list(self, room: str) -> str | None:
        """What the recogniser is told of the room (X-Room)."""
        runner = self._runners.get(room)
        return None if runner is None else runner.plan.product_list

    async def close(self) -> None:
        """End every room, withdrawing its cards, and what serves them. May be called again."""
        self._closed = True
        for runner in self._runners.values():
            runner.signal()
        results = await asyncio.gather(*(self.remove(room) for room in list(self._runners)), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                self.metrics.background_failure("close")
                _log.error("a room did not end as it should", exc_info=error)
        if self._offers is not None:
            await self._offers.close()
        for task in self._tasks:
            await end_task(task)
        self._mailbox.close_all()

    async def _replace(self, running: RoomRunner | None, plan: RoomPlan, shared: Shared) -> RoomRunner:
        room = plan.room
        if running is None:
            last_id = self._last_ids.get(room)
            if last_id is None:
                last_id = await self._sink.resume(room)
            runner = RoomRunner(plan, shared, last_event_id=last_id)
        else:
            # A plan that cannot be run is refused here, while the room still runs as it did.
            RoomRunner(plan, shared)
            goes_on = running.plan.source == plan.source and not running.finished.is_set()
            state = await running.stop(keep_cards=goes_on)
            self._remember(state)
            runner = RoomRunner(plan, shared, last_event_id=state.last_event_id, state=state if goes_on else None)
        self._runners[room] = runner
        self.metrics.open_room(room)
        runner.start()
        return runner

    def _remember(self, state: RoomState) -> None:
        self._last_ids[state.room] = state.last_event_id
        self._last_ids.move_to_end(state.room)
        while len(self._last_ids) > _MOST_REMEMBERED:
            self._last_ids.popitem(last=False)

    def _lock(self, room: str) -> asyncio.Lock:
        lock = self._locks.get(room)
        if lock is None:
            lock = self._locks[room] = asyncio.Lock()
        return lock

    def _on_look(self, look: Look) -> None:
        runner = self._runners.get(look.room)
        if runner is not None:
            if self._offers is not None:
                # Asked while the vote still runs, so that the card does not wait.
                self._offers.want(candidate.sku for candidate in look.candidates)
            self._finisher.saw(look)
            runner.on_look(look)
            self._finisher.decided(look)
            self.looks.tell(look)

    def _on_lost(self, frame: Frame, outcome: Outcome) -> None:
        runner = self._runners.get(frame.room)
        if runner is not None:
            runner.on_lost(frame, outcome)

    def _on_stale(self, room: str) -> None:
        runner = self._runners.get(room)
        if runner is not None:
            runner.on_stale()

    def _on_offers(self, skus: frozenset[str]) -> None:
        self._each_room(lambda runner: runner.on_offers(skus))

    def _recheck_offers(self) -> None:
        self._each_room(RoomRunner.recheck_offers)

    def _awaited(self) -> set[str]:
        return {sku for runner in self._runners.values() for sku in runner.decision.awaits_offers_of}

    def _each_room(self, what: Callable[[RoomRunner], None]) -> None:
        for room, runner in list(self._runners.items()):
            try:
                what(runner)
            except Exception:  # noqa: BLE001  one room's fault; the others go on
                self.metrics.background_failure("room")
                _log.exception("room %s: what is due in all rooms failed in it", room)

    async def _tick(self) -> None:
        while True:
            was_on, is_on = self._economy.on, self._economy.tick(time.monotonic())
            if was_on != is_on:
                _log.warning("the machine %s", "is short: key frames only" if is_on else "can follow again: all frames")
            self.metrics.load(places=0 if self._dispatcher is None else self._dispatcher.most_in_flight, economy=is_on)
            self._each_room(lambda runner: runner.tick(time.time(), short=self._economy.on))
            await asyncio.sleep(_TICK_S)


class _StaleWatch:
    """A `Meter` that passes everything on, and tells of frames that waited long or grew too old."""

    def __init__(self, metrics: LiveMetrics, on_stale: Callable[[str], None], economy: Economy) -> None:
        self._metrics = metrics
        self._on_stale = on_stale
        self._economy = economy

    def frame(self, room: str, outcome: Outcome) -> None:
        """See `Meter`. The mailbox counts `stale` in the event loop."""
        self._metrics.frame(room, outcome)
        if outcome in ("stale", "replaced"):
            self._economy.lost()
        if outcome == "stale":
            self._on_stale(room)

    def stage(self, stage: Stage, seconds: float) -> None:
        """See `Meter`."""
        self._metrics.stage(stage, seconds)
        if stage == "queue":
            self._economy.waited(seconds)

    def incident(self, room: str, incident: Incident) -> None:
        """See `Meter`."""
        self._metrics.incident(room, incident)
