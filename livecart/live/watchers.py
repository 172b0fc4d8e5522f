"""Watchers of a room: they get the newest detections, and the room's events of late.

Where nobody watches, a result costs one look-up in a dictionary, and nothing is kept.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contract.card import CardEvent
from livecart.core.types import Detections

#: A room has some events a minute; a watcher that does not take them for long loses the oldest.
_MOST_EVENTS = 128


@dataclass(frozen=True, slots=True)
class News:
    """The news since the watcher asked last.

    Attributes:
        detections: The newest; None: there were none.
        decided_at_s: When the decision had it, UNIX time; 0 where there is none.
        skipped: Results before it that were not taken: the newest wins.
        events: The room's events, oldest first.
        events_missed: How many before them were dropped.
    """

    detections: Detections | None
    decided_at_s: float
    skipped: int
    events: tuple[CardEvent, ...]
    events_missed: int


class RoomWatcher:
    """One watcher of one room: bounded, and never waited for."""

    def __init__(self) -> None:
        #: Set when there is news.
        self.changed = asyncio.Event()
        self._detections: Detections | None = None
        self._decided_at_s = 0.0
        self._skipped = 0
        self._events: deque[CardEvent] = deque(maxlen=_MOST_EVENTS)
        self._missed = 0

    def take(self) -> News:
        news = News(self._detections, self._decided_at_s, self._skipped, tuple(self._events), self._missed)
        self._detections, self._decided_at_s, self._skipped, self._missed = None, 0.0, 0, 0
        self._events.clear()
        self.changed.clear()
        return news

    def on_result(self, detections: Detections, decided_at_s: float) -> None:
        self._skipped += self._detections is not None
        self._detections, self._decided_at_s = detections, decided_at_s
        self.changed.set()

    def on_event(self, event: CardEvent) -> None:
        self._missed += len(self._events) == _MOST_EVENTS
        self._events.append(event)
        self.changed.set()


class RoomWatchers:
    """All watchers of all rooms. To be used in one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[RoomWatcher]] = {}

    def watchers_of(self, room: str) -> int:
        return len(self._watchers.get(room, ()))

    @contextmanager
    def watch(self, room: str) -> Iterator[RoomWatcher]:
        watcher = RoomWatcher()
        self._watchers.setdefault(room, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[room].discard(watcher)
            if not self._watchers[room]:
                del self._watchers[room]

    def tell(self, detections: Detections) -> None:
        watchers = self._watchers.get(detections.room)
        if watchers:
            now_s = time.time()
            for watcher in watchers:
                watcher.on_result(detections, now_s)

    def tell_event(self, event: CardEvent) -> None:
        for watcher in self._watchers.get(event.room, ()):
            watcher.on_event(event)
