"""One viewer's connection: its bounded queue, and the writer and reader that both transports share."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.websockets import WebSocketDisconnect

from livecart.core.background import end_task
from livecart.web.hub.messages import GAP, TRY_AGAIN_LATER, Message
from livecart.web.hub.metrics import HubMetrics

#: A queue that overflows more often than this is given up ...
_MOST_OVERFLOWS = 3
#: ... unless it went well for so long between.
_FORGIVEN_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Closing:
    """End of a connection by the hub: close code, and a word for the counter."""

    code: int
    reason: str


class ViewerQueue:
    """A bounded queue: when full, its oldest half goes and a gap is sent; after three times the connection ends."""

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


_log = logging.getLogger(__name__)

Write: TypeAlias = Callable[[Message], Awaitable[None]]


async def run_connection(
    queue: ViewerQueue,
    greeting: list[Message],
    write: Write,
    read: Callable[[], Coroutine[Any, Any, None]],
    metrics: HubMetrics,
) -> None:
    """Write greeting and queue, and read, until the viewer leaves or the queue is closed.

    Args:
        queue: of the viewer.
        greeting: sent first.
        write: sends one message; may wait as long as the viewer does not read.
        read: takes in what the viewer sends, until it leaves.
        metrics: count ends and faults.
    """
    writer = asyncio.create_task(_write_all(queue, greeting, write, metrics), name="livecart hub writer")
    reader = asyncio.create_task(read(), name="livecart hub reader")
    # A viewer that does not read keeps its writer waiting: only a cancellation ends that.
    queue.when_closed(writer.cancel)
    try:
        await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        metrics.end(queue.closing.reason if queue.closing else "left")
        for task in (writer, reader):
            await end_task(task)
            _tell_fault(task, metrics)


def _tell_fault(task: asyncio.Task[None], metrics: HubMetrics) -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None and not isinstance(fault, WebSocketDisconnect | OSError):
        metrics.background_failure("hub_connection")
        _log.error("a viewer's connection failed", exc_info=fault)


async def _write_all(queue: ViewerQueue, greeting: list[Message], write: Write, metrics: HubMetrics) -> None:
    for message in greeting:
        await write(message)
        metrics.messages_sent += 1
    greeting.clear()
    while True:
        await write(await queue.get())
        metrics.messages_sent += 1
