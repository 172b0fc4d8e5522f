"""A subscriber's queue: bounded, so that a slow one costs itself events and nobody else anything."""

from __future__ import annotations

import asyncio
from collections import deque

from livecart.bus.base import BusItem, BusStats, Gap


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task until it has ended: up to Python 3.11 `wait_for` may lose a cancellation that meets a result."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


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
        """Add an item; never waits."""
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
