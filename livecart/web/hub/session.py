"""What both transports share: a writer and a reader of one viewer's connection, ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from starlette.websockets import WebSocketDisconnect

from livecart.web.hub.messages import Message
from livecart.web.hub.metrics import HubMetrics
from livecart.web.hub.viewer_queue import ViewerQueue

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
        metrics: told of the end, and of faults.
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
            await _end(task)
            _tell_fault(task, metrics)


async def _end(task: asyncio.Task[None]) -> None:
    # More than once: up to Python 3.11 `wait_for`, in a sink, may lose a cancellation that meets a result.
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


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
