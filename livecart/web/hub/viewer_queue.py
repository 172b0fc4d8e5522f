"""What waits for one viewer: bounded, so that a slow one costs itself events and nobody else anything."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from livecart.web.hub.messages import GAP, TRY_AGAIN_LATER, Message

#: A queue that overflows more often than this is given up ...
_MOST_OVERFLOWS = 3
#: ... unless it went well for so long between.
_FORGIVEN_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a connection is ended by the hub: close code, and a word for the counter."""

    code: int
    reason: str


class ViewerQueue:
    """When full, its oldest half goes and the viewer is told of a gap; after three times the connection is ended.

    Args:
        size: messages that may wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._has_gap = False
        self._overflows = 0
        self._overflowed_at_s = 0.0
        self._on_close: Callable[[], object] | None = None
        self.closing: Closing | None = None
        #: Monotonic time at which the viewer was heard of last.
        self.heard_at_s = time.monotonic()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, message: Message) -> int:
        """Add a message; never waits. How many were dropped for it."""
        if self.closing is not None:
            return 0
        dropped = self._make_room() if len(self._waiting) >= self._size else 0
        self._waiting.append(message)
        self._wake.set()
        return dropped

    def close(self, closing: Closing) -> None:
        """End the connection, even where it waits for a viewer that does not read. The first reason counts."""
        if self.closing is None:
            self.closing = closing
            self._waiting.clear()
            self._wake.set()
            if self._on_close is not None:
                self._on_close()

    def when_closed(self, call: Callable[[], object]) -> None:
        """Have `call` called when the queue is closed; at once where it is."""
        self._on_close = call
        if self.closing is not None:
            call()

    def touch(self) -> None:
        """The viewer was heard of."""
        self.heard_at_s = time.monotonic()

    async def get(self) -> Message:
        """The next message; waits. A gap comes before what is left."""
        while not (self._waiting or self._has_gap):
            self._wake.clear()
            await self._wake.wait()
        if self._has_gap:
            self._has_gap = False
            return GAP
        return self._waiting.popleft()

    def _make_room(self) -> int:
        now_s = time.monotonic()
        if now_s - self._overflowed_at_s > _FORGIVEN_AFTER_S:
            self._overflows = 0
        self._overflows += 1
        self._overflowed_at_s = now_s
        dropped = len(self._waiting) // 2
        if self._overflows > _MOST_OVERFLOWS:
            dropped = len(self._waiting)
            self.close(Closing(TRY_AGAIN_LATER, "slow"))
            return dropped
        for _ in range(dropped):
            self._waiting.popleft()
        self._has_gap = True
        return dropped
