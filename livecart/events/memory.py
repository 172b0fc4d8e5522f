"""The bus inside one process."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from contract.card import CardEvent
from livecart.core.errors import BusError
from livecart.events.base import BusItem, BusStats, CurrentCards, Gap, check_after
from livecart.events.subscription import Continuity, Subscription

_MOST_ROOMS = 10_000


@dataclass(slots=True)
class _Room:
    """`epoch` counts how often the room began to number its events anew."""

    kept: deque[CardEvent]
    epoch: int = 0
    last_event_id: int = 0


@dataclass(slots=True)
class _Subscriber:
    room: str | None
    subscription: Subscription
    continuity: Continuity = field(default_factory=Continuity)

    def push(self, epoch: int, event: CardEvent) -> None:
        step = self.continuity.step(event.room, epoch, event.event_id)
        if step.missed is not None:
            self.subscription.push(Gap(event.room, step.missed))
        if not step.duplicate:
            self.subscription.push(event)


class MemoryBus:
    """Keeps the last `history` events of each of the 10,000 rooms that were heard of last."""

    def __init__(self, *, history: int = 1000, queue_size: int = 256) -> None:
        self.stats = BusStats()
        self._history = history
        self._queue_size = queue_size
        self._rooms: dict[str, _Room] = {}
        self._cards = CurrentCards()
        self._subscribers: list[_Subscriber] = []
        self._closed = False

    async def publish(self, event: CardEvent) -> None:
        self._check_open()
        room = self._rooms.pop(event.room, None) or _Room(deque(maxlen=self._history))
        self._rooms[event.room] = room
        if event.event_id <= room.last_event_id:
            if event in room.kept:
                self.stats.duplicates += 1
                return
            room.epoch += 1
            room.kept.clear()
        room.last_event_id = event.event_id
        room.kept.append(event)
        self._cards.apply(event)
        self._forget_quiet_rooms()
        self.stats.published += 1
        for subscriber in self._subscribers:
            if subscriber.room in (None, event.room):
                subscriber.push(room.epoch, event)

    @asynccontextmanager
    async def subscribe(
        self, room: str | None = None, after_event_id: int | None = None
    ) -> AsyncIterator[AsyncIterator[BusItem]]:
        self._check_open()
        subscriber = _Subscriber(room, Subscription(room, self._queue_size, self.stats))
        check_after(room, after_event_id)
        if room is not None and after_event_id is not None:
            self._catch_up(subscriber, room, after_event_id)
        self._subscribers.append(subscriber)
        self.stats.subscribers += 1
        try:
            yield subscriber.subscription
        finally:
            self._subscribers.remove(subscriber)
            self.stats.subscribers -= 1

    async def latest(self, room: str) -> list[CardEvent]:
        self._check_open()
        return self._cards.of(room)

    async def last_event_id(self, room: str) -> int:
        self._check_open()
        return self._rooms[room].last_event_id if room in self._rooms else 0

    async def close(self) -> None:
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.subscription.close()

    def _catch_up(self, subscriber: _Subscriber, room: str, after_event_id: int) -> None:
        known = self._rooms.get(room)
        if known is None or after_event_id > known.last_event_id:
            subscriber.continuity.begin(room, None, after_event_id)
        else:
            subscriber.continuity.begin(room, known.epoch, after_event_id)
        for event in known.kept if known else ():
            subscriber.push(known.epoch if known else 0, event)

    def _forget_quiet_rooms(self) -> None:
        """The rooms stand in the order in which they were heard of; one that shows a card is kept."""
        if len(self._rooms) > _MOST_ROOMS:
            quiet = next((name for name in self._rooms if not self._cards.of(name)), None)
            if quiet is not None:
                del self._rooms[quiet]

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed; open another one")
