"""All rooms of one process: added, changed and removed while they run, served by one dispatcher."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

from cachetools import FIFOCache

from livecart.core.background import end_task, keep_running
from livecart.core.types import Detections, Frame, RoomView
from livecart.live.decide import RoomState
from livecart.live.enrich.availability_poller import AvailabilityPoller
from livecart.live.enrich.crops import CropCache, CropSink
from livecart.live.enrich.enricher import Enricher
from livecart.live.enrich.faces import FaceFinder, FacesSettings
from livecart.live.metrics import LiveMetrics
from livecart.live.outbox import EventOutbox
from livecart.live.outcomes import Incident, Outcome, Stage
from livecart.live.plan import RoomPlan
from livecart.live.recognise.concurrency import ReadyWorkers
from livecart.live.recognise.dispatcher import Dispatcher
from livecart.live.recognise.latest_frames import LatestFrames
from livecart.live.recognise.settings import DispatcherSettings
from livecart.live.room_runner import RoomRunner, Shared
from livecart.live.sampling_controller import LoadShedding
from livecart.live.watchers import RoomWatchers

_log = logging.getLogger(__name__)

_TICK_S = 1.0
#: Rooms that are gone and whose last event's id is remembered, so that one that comes back numbers on.
_MOST_REMEMBERED = 10_000


class Rooms:
    """The running rooms. All methods belong to the event loop in which `start` was called.

    Args:
        sink: where events go.
        metrics: count everything.
        max_age_s: frames captured longer ago are not sent, see `LatestFrames`.
        dispatcher: how hard to ask the recogniser.
        availability: what may be shown; None: whatever the recogniser names.
        crops: keeps those of the cards shown last; None: a cache of its own.
        uncertain: where crops of decisions that were not sure go; None: nowhere.
        finder: of faces; None: cards do not say where faces are, and no crops are made.
        faces: how often to look for them, and how long cards wait.
    """

    def __init__(
        self,
        sink: EventOutbox,
        metrics: LiveMetrics,
        *,
        max_age_s: float = 2.0,
        dispatcher: DispatcherSettings | None = None,
        crops: CropCache | None = None,
        uncertain: CropSink | None = None,
        availability: AvailabilityPoller | None = None,
        finder: FaceFinder | None = None,
        faces: FacesSettings | None = None,
    ) -> None:
        self.metrics = metrics
        #: Of the cards shown last.
        self.crops = CropCache() if crops is None else crops
        #: For people who want to see what the recogniser sees.
        self.watchers = RoomWatchers()
        self._sink = sink
        self._enricher = Enricher(sink, finder, metrics, cache=self.crops, review=uncertain, settings=faces)
        self._availability = availability
        self._load_shedding = LoadShedding()
        self._frame_metrics = _StaleWatch(metrics, self._on_stale, self._load_shedding)
        self._queue = LatestFrames(max_age_s, metrics=self._frame_metrics)
        self._dispatcher_settings = dispatcher
        self._dispatcher: Dispatcher | None = None
        self._runners: dict[str, RoomRunner] = {}
        self._last_ids: FIFOCache[str, int] = FIFOCache(_MOST_REMEMBERED)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []
        self._shared: Shared | None = None
        self._closed = False

    def start(
        self, recognize: Callable[[Frame], Awaitable[Detections]], ready_workers: ReadyWorkers | None = None
    ) -> None:
        """Begin to serve; `recognize` asks about one frame, `ready_workers` how many can be worked on at once."""
        loop = asyncio.get_running_loop()
        self._shared = Shared(loop, self._queue, self._enricher, self.metrics, self._availability)
        if self._availability is not None:
            self._availability.start(self._on_availability, self._awaited, self._recheck_availability)

        async def counted(frame: Frame) -> Detections:
            self.metrics.in_flight(1)
            try:
                return await recognize(frame)
            finally:
                self.metrics.in_flight(-1)

        dispatcher = self._dispatcher = Dispatcher(
            self._queue,
            counted,
            on_result=self._on_result,
            on_lost=self._on_lost,
            settings=self._dispatcher_settings,
            metrics=self._frame_metrics,
        )
        following = partial(dispatcher.limiter.follow, ready_workers)
        for name, work in (("dispatcher", dispatcher.run), ("ticker", self._tick), ("workers", following)):
            self._tasks.append(loop.create_task(keep_running(name, work, self.metrics), name=f"livecart {name}"))

    @property
    def is_serving(self) -> bool:
        """True while the tasks that serve all rooms run."""
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
            await self._enricher.drain(room)
            self._enricher.forget_room(room)
            # Only now: until its reader has ended it is shown, and counts.
            self._runners.pop(room, None)
            self.metrics.forget_room(room)
            return True

    def get(self, room: str) -> RoomRunner | None:
        return self._runners.get(room)

    def views(self) -> list[RoomView]:
        """All rooms as they are now, by id."""
        return [self._runners[room].view() for room in sorted(self._runners)]

    def product_list(self, room: str) -> str | None:
        """The room's product list, sent to the recogniser as X-Room."""
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
        if self._availability is not None:
            await self._availability.close()
        for task in self._tasks:
            await end_task(task)
        self._queue.close_all()

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

    def _lock(self, room: str) -> asyncio.Lock:
        lock = self._locks.get(room)
        if lock is None:
            lock = self._locks[room] = asyncio.Lock()
        return lock

    def _on_result(self, detections: Detections) -> None:
        runner = self._runners.get(detections.room)
        if runner is not None:
            if self._availability is not None:
                # Asked while the vote still runs, so that the card does not wait.
                self._availability.want(detection.sku for detection in detections.products)
            self._enricher.before_decision(detections)
            runner.on_result(detections)
            self._enricher.after_decision(detections)
            self.watchers.tell(detections)

    def _on_lost(self, frame: Frame, _outcome: Outcome) -> None:
        runner = self._runners.get(frame.room)
        if runner is not None:
            runner.on_lost(frame)

    def _on_stale(self, room: str) -> None:
        runner = self._runners.get(room)
        if runner is not None:
            runner.on_stale()

    def _on_availability(self, skus: frozenset[str]) -> None:
        self._each_room(lambda runner: runner.on_availability(skus))

    def _recheck_availability(self) -> None:
        self._each_room(RoomRunner.recheck_availability)

    def _awaited(self) -> set[str]:
        return {sku for runner in self._runners.values() for sku in runner.decision.awaits_availability_of}

    def _each_room(self, what: Callable[[RoomRunner], None]) -> None:
        for room, runner in list(self._runners.items()):
            try:
                what(runner)
            except Exception:  # noqa: BLE001  one room's fault; the others go on
                self.metrics.background_failure("room")
                _log.exception("room %s: what is due in all rooms failed in it", room)

    async def _tick(self) -> None:
        while True:
            was_on, is_on = self._load_shedding.on, self._load_shedding.tick(time.monotonic())
            if was_on != is_on:
                _log.warning("the machine %s", "is short: key frames only" if is_on else "can follow again: all frames")
            most_in_flight = 0 if self._dispatcher is None else self._dispatcher.limiter.limit
            self.metrics.load(concurrency_limit=most_in_flight, is_shedding=is_on)
            self._each_room(lambda runner: runner.tick(time.monotonic(), short=self._load_shedding.on))
            await asyncio.sleep(_TICK_S)


class _StaleWatch:
    """`FrameMetrics` that pass everything on, and tell of frames that waited long or grew too old."""

    def __init__(self, metrics: LiveMetrics, on_stale: Callable[[str], None], load_shedding: LoadShedding) -> None:
        self._metrics = metrics
        self._on_stale = on_stale
        self._load_shedding = load_shedding

    def frame(self, room: str, outcome: Outcome) -> None:
        """The queue counts `stale` in the event loop."""
        self._metrics.frame(room, outcome)
        if outcome in ("stale", "replaced"):
            self._load_shedding.lost()
        if outcome == "stale":
            self._on_stale(room)

    def stage(self, stage: Stage, seconds: float) -> None:
        self._metrics.stage(stage, seconds)
        if stage == "queue":
            self._load_shedding.waited(seconds)

    def incident(self, room: str, incident: Incident) -> None:
        self._metrics.incident(room, incident)
