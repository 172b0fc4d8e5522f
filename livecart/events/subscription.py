"""One subscriber: its bounded queue, and what came twice or is missing by the numbers of a room's events."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from livecart.events.base import BusItem, BusStats, Gap

#: Rooms whose last number is kept. Beyond it the room that was quiet longest is forgotten, at the cost of a check.
_MOST_ROOMS = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """One event to its reader. `missed`: None, nothing is missing; 0, unknown how much."""

    duplicate: bool
    missed: int | None


class Continuity:
    """The newest number of each room. A number is an epoch and an event id; a room that begins anew has a new epoch."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int | None, int]] = {}

    def begin(self, room: str, epoch: int | None, event_id: int) -> None:
        """The reader has the room's events up to this one; an epoch of None is one nobody knows."""
        self._last[room] = (epoch, event_id)

    def step(self, room: str, epoch: int, event_id: int) -> Step:
        """Take in the number of an event."""
        last = self._last.pop(room, None)
        self._last[room] = (epoch, event_id)
        if len(self._last) > _MOST_ROOMS:
            del self._last[next(iter(self._last))]
        if last is None:
            return Step(duplicate=False, missed=None)
        last_epoch, last_id = last
        if last_epoch is None:
            last_epoch = epoch if event_id > last_id else epoch - 1
        if (epoch, event_id) <= (last_epoch, last_id):
            self._last[room] = last
            return Step(duplicate=True, missed=None)
        if epoch != last_epoch:
            return Step(duplicate=False, missed=0)
        missed = event_id - last_id - 1
        return Step(duplicate=False, missed=missed or None)


class Subscription:
    """Async iterator over what is pushed. When full, the oldest item goes, and a `Gap` is given in its place."""

    def __init__(self, room: str | None, size: int, stats: BusStats) -> None:
        self._room = room
        self._size = size
        self._stats = stats
        self._items: deque[BusItem] = deque()
        self._missed = 0
        self._closed = False
        self._wake = asyncio.Event()

    def push(self, item: BusItem) -> None:
        if self._closed:
            return
        if len(self._items) >= self._size:
            oldest = self._items.popleft()
            self._missed += oldest.missed if isinstance(oldest, Gap) else 1
            self._stats.subscriber_dropped += not isinstance(oldest, Gap)
        self._items.append(item)
        self._wake.set()

    def close(self) -> None:
        """End the iteration, after what is in the queue."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> BusItem:
        while not (self._items or self._closed):
            self._wake.clear()
            await self._wake.wait()
        if self._missed:
            missed, self._missed = self._missed, 0
            return Gap(self._room, missed)
        if not self._items:
            raise StopAsyncIteration
        return self._items.popleft()
