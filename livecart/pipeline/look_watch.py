"""What the recogniser sees, for whoever watches a room: the newest look, and the room's events of late.

Where nobody watches, a look costs one look-up in a dictionary, and nothing is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from livecart.types import CardEvent, Look

#: A room has some events a minute; a watcher that does not take them for long loses the oldest.
_MOST_EVENTS = 128


@dataclass(frozen=True, slots=True)
class News:
    """What happened since the watcher asked last.

    Attributes:
        look: The newest look; None: there was none.
        looked_at_s: When the decision had it, UNIX time; 0 where there is none.
        looks_passed_over: Looks before it that were not taken: the newest wins.
        events: The room's events, oldest first.
        events_missed: How many before them were dropped.
    """

    look: Look | None
    looked_at_s: float
    looks_passed_over: int
    events: tuple[CardEvent, ...]
    events_missed: int


class RoomWatcher:
    """One watcher of one room: bounded, and never waited for."""

    def __init__(self) -> None:
        #: Set when there is news.
        self.changed = asyncio.Event()
        self._look: Look | None = None
        self._looked_at_s = 0.0
        self._passed_over = 0
        self._events: deque[CardEvent] = deque(maxlen=_MOST_EVENTS)
        self._missed = 0

    def take(self) -> News:
        """What is new since the last call."""
        news = News(self._look, self._looked_at_s, self._passed_over, tuple(self._events), self._missed)
        self._look, self._looked_at_s, self._passed_over, self._missed = None, 0.0, 0, 0
        self._events.clear()
        self.changed.clear()
        return news

    def on_look(self, look: Look, looked_at_s: float) -> None:
        """The room's decision has this look."""
        self._passed_over += self._look is not None
        self._look, self._looked_at_s = look, looked_at_s
        self.changed.set()

    def on_event(self, event: CardEvent) -> None:
        """An event was handed to the bus."""
        self._missed += len(self._events) == _MOST_EVENTS
        self._events.append(event)
        self.changed.set()


class LookWatch:
    """All watchers of all rooms. To be used in one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[RoomWatcher]] = {}

    def watchers_of(self, room: str) -> int:
        """How many watch the room."""
        return len(self._watchers.get(room, ()))

    @contextmanager
    def watch(self, room: str) -> Iterator[RoomWatcher]:
        """Watch a room as long as the block lasts."""
        watcher = RoomWatcher()
        self._watchers.setdefault(room, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[room].discard(watcher)
            if not self._watchers[room]:
                del self._watchers[room]

    def tell(self, look: Look) -> None:
        """A look was decided about."""
        watchers = self._watchers.get(look.room)
        if watchers:
            now_s = time.time()
            for watcher in watchers:
                watcher.on_look(look, now_s)

    def tell_event(self, event: CardEvent) -> None:
        """An event was handed to the bus."""
        for watcher in self._watchers.get(event.room, ()):
            watcher.on_event(event)
