"""The way of events from the rooms' decisions to the bus, in order, without holding up who decides."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from contract.card import CardEvent
from livecart.core.background import end_task, keep_running
from livecart.core.errors import BusError
from livecart.live.metrics import LiveMetrics

_log = logging.getLogger(__name__)

#: The bus takes events at once and does its own waiting, so that these are those of one turn of the event loop.
_MOST_WAITING = 10_000

Listener = Callable[[CardEvent], None]


class EventSink(Protocol):
    def put(self, event: CardEvent) -> None:
        """Leave an event; never waits."""


class EventBus(Protocol):
    """As much of a bus as is needed here."""

    async def publish(self, event: CardEvent) -> None:
        """Hand an event over."""

    async def latest(self, room: str) -> list[CardEvent]:
        """The cards that the room shows now."""

    async def last_event_id(self, room: str) -> int:
        """Id of the room's newest event."""


class EventOutbox:
    """Takes events from rooms (`put`, in the event loop) and hands them to the bus and to listeners.

    Policy: at most 10,000 wait, the oldest is dropped and counted; an event that the bus refuses is counted, logged and
    not tried again (the bus keeps what it accepted while its server is away).
    """

    def __init__(self, bus: EventBus, metrics: LiveMetrics, *, clock: Callable[[], float] = time.time) -> None:
        self._bus = bus
        self._metrics = metrics
        self._clock = clock
        self._waiting: deque[CardEvent] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every event when it was handed over, in the event loop."""
        self._listeners.append(listener)

    def start(self) -> None:
        self._task = asyncio.create_task(keep_running("outbox", self._run, self._metrics), name="livecart outbox")

    def put(self, event: CardEvent) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self._metrics.event_lost()
        self._waiting.append(event)
        self._idle.clear()
        self._wake.set()

    async def resume(self, room: str) -> int:
        """The id after which the room's events go on; 0 where the bus knows none or is away.

        Cards that an earlier process left on the bus are withdrawn: nobody else would.
        """
        try:
            last_id = await self._bus.last_event_id(room)
            left = await self._bus.latest(room)
        except BusError as error:
            self._metrics.background_failure("bus")
            _log.warning("room %s: its last events are not known, it numbers anew: %s", room, error)
            return 0
        for card in left:
            last_id += 1
            now_s = self._clock()
            self.put(
                msgspec.structs.replace(
                    card, event="withdraw", event_id=last_id, decided_at_s=now_s, reason="room_closed", avoid=None
                )
            )
        return last_id

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all events were handed over; whether they were in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self, timeout_s: float = 1.0) -> None:
        """Hand over what waits, and end."""
        if not await self.flush(timeout_s):
            _log.error("%d card events were not handed to the bus", len(self._waiting))
        await end_task(self._task)

    async def _run(self) -> None:
        while True:
            while self._waiting:
                await self._hand_over(self._waiting.popleft())
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    async def _hand_over(self, decided: CardEvent) -> None:
        event = msgspec.structs.replace(decided, emitted_at_s=self._clock())
        try:
            await self._bus.publish(event)
        except BusError as error:
            self._metrics.event_lost()
            _log.error("room %s: event %d is lost: %s", event.room, event.event_id, error)
            return
        self._metrics.emitted(event)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  a listener's fault is not the rooms'
                self._metrics.background_failure("listener")
                _log.exception("a listener failed on an event of room %s", event.room)
