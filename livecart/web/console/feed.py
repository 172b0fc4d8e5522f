"""A room's detections, state and events for its host, as server-sent events.

At most two messages a second, at least one. A host that reads slowly gets fewer and loses nothing but detections and,
after many, old events: what waits is bounded where it is gathered. A host that reads nothing is ended.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

import msgspec
from fastapi import Response
from starlette.types import Receive, Scope, Send

from livecart.core.http_replies import error
from livecart.web.console.messages import ConsoleUpdate
from livecart.web.control import unknown_room

_AT_MOST_EVERY_S = 0.5
_AT_LEAST_EVERY_S = 1.0
#: How long one message may take to leave.
_TAKEN_WITHIN_S = 10.0
#: A host has the console open on a few devices.
_MOST_HOSTS = 16


#: One host's view of one room: an event that is set when there is news, and the next message; None: the room is gone,
#: or its tickets were revoked.
Watching: TypeAlias = tuple[asyncio.Event, Callable[[], ConsoleUpdate | None]]


class ConsoleSource(Protocol):
    """The rooms of this process."""

    def knows(self, room: str) -> bool:
        """True where this process runs the room."""

    def hosts(self, room: str) -> int:
        """Number of hosts who watch it."""

    def watch(self, room: str) -> AbstractContextManager[Watching]:
        """Watch a room as long as the block lasts."""


class ConsoleFeed:
    """Answers hosts."""

    def __init__(
        self,
        source: ConsoleSource,
        *,
        at_most_every_s: float = _AT_MOST_EVERY_S,
        at_least_every_s: float = _AT_LEAST_EVERY_S,
    ) -> None:
        self._source = source
        self._at_most_every_s = at_most_every_s
        self._at_least_every_s = at_least_every_s
        self._streams: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def answer(self, room: str) -> Response:
        if self._is_closing:
            return error(503, "closing", "going away; try again")
        if not self._source.knows(room):
            return unknown_room(room)
        if self._source.hosts(room) >= _MOST_HOSTS:
            return error(503, "room_full", f"{_MOST_HOSTS} consoles of this room are open; close one")
        return _DetectionsStream(self, room)

    async def serve(self, room: str, send: Send) -> None:
        """Tell one host, until the room or the feed ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._streams.add(task)
        try:
            with self._source.watch(room) as (changed, next_update):
                while (update := next_update()) is not None:
                    body = b"data: " + msgspec.json.encode(update) + b"\n\n"
                    async with asyncio.timeout(_TAKEN_WITHIN_S):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                    await asyncio.sleep(self._at_most_every_s)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._at_least_every_s - self._at_most_every_s):
                            await changed.wait()
        finally:
            self._streams.discard(task)

    async def close(self) -> None:
        """End all streams; hosts come back by themselves."""
        self._is_closing = True
        for task in list(self._streams):
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)


class _DetectionsStream(Response):
    media_type = "text/event-stream"

    def __init__(self, feed: ConsoleFeed, room: str) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # A stream has no length.
        del self.headers["content-length"]
        self._feed = feed
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

        async def until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        serving = asyncio.create_task(self._feed.serve(self._room, send), name=f"console of {self._room}")
        gone = asyncio.create_task(until_gone(), name=f"end of a console of {self._room}")
        try:
            await asyncio.wait({serving, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, gone):
                task.cancel()
            served, _ = await asyncio.gather(serving, gone, return_exceptions=True)
        if isinstance(served, Exception) and not isinstance(served, TimeoutError | OSError):
            # A fault of livecart: the server logs it, and the host's page comes back.
            raise served
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1.0):
                await send({"type": "http.response.body", "body": b""})
