"""The hub: one subscription of all rooms, fanned out to whoever watches."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contract.card import CardEvent
from livecart.web.hub.admission import Admission, Refusal, ViewerRequest, refusal
from livecart.web.hub.feedback import FeedbackIntake
from livecart.web.hub.garbage import GarbagePolicy
from livecart.web.hub.messages import GOING_AWAY, NO_SUCH_ROOM, TRY_AGAIN_LATER, Message, ping
from livecart.web.hub.metrics import HubMetrics
from livecart.web.hub.room_feed import RoomEvents, RoomFeed
from livecart.web.hub.viewer_connection import Closing, ViewerQueue

#: What docs/viewer.md promises: a ping every 15 s; three of them unanswered, and the viewer is gone.
_PING_EVERY_S = 15.0
_SILENT_AFTER_S = 45.0
#: A viewer that comes while the bus is away is sent off after this; it comes back by itself.
_STATE_WITHIN_S = 3.0
#: Pings go to this many viewers before others get their turn.
_SLICE = 500


class ViewerRefused(Exception):
    def __init__(self, why: Refusal) -> None:
        super().__init__(why.message)
        self.why = why


class ViewerHub:
    """Knows the watched rooms and their viewers. To be used in one event loop."""

    def __init__(
        self,
        source: RoomEvents,
        admission: Admission,
        intake: FeedbackIntake,
        metrics: HubMetrics,
        *,
        queue_messages: int = 64,
        replay_events: int = 256,
        public_url: str | None = None,
    ) -> None:
        self.public_url = public_url
        self.admission = admission
        self.intake = intake
        self.metrics = metrics
        self._source = source
        self._queue_messages = queue_messages
        self._replay_events = replay_events
        self._feeds: dict[str, RoomFeed] = {}
        self._is_closing = False
        self._garbage = GarbagePolicy()
        metrics.watch_viewers(self.viewers_by_room)

    def viewers_by_room(self) -> dict[str, int]:
        return {room: len(feed.viewers) for room, feed in self._feeds.items()}

    # In the background

    async def run(self) -> None:
        """Hand on the events of all rooms until the bus is closed. May be begun again after it failed."""
        async with self._source.subscribe() as items:
            # What happened before, or since it failed, is not known here.
            for feed in self._feeds.values():
                feed.load()
            async for item in items:
                if isinstance(item, CardEvent):
                    watched = self._feeds.get(item.room)
                    if watched is not None:
                        watched.take(item)
                else:
                    self._miss(item.room)

    async def beat(self, every_s: float = _PING_EVERY_S, silent_after_s: float = _SILENT_AFTER_S) -> None:
        """Ping all viewers every so often, until cancelled.

        Connections that have not answered for so long are ended, and those to rooms that are no more.
        """
        while True:
            await asyncio.sleep(every_s)
            for room in list(self._feeds):
                if not await self.admission.knows_room(room):
                    self._end_room(room)
            self.tend_memory()
            message = ping()
            viewers = [(feed, viewer) for feed in self._feeds.values() for viewer in feed.viewers]
            for number, (_, viewer) in enumerate(viewers):
                if time.monotonic() - viewer.heard_at_s > silent_after_s:
                    viewer.close(Closing(TRY_AGAIN_LATER, "silent"))
                else:
                    self.metrics.messages_dropped += viewer.push(message)
                if number % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)

    def tend_memory(self) -> None:
        """Fit Python's garbage collector to the number of viewers; `beat` does it each time."""
        self._garbage.adjust(sum(self.viewers_by_room().values()), self.metrics.connections_ended)

    async def close(self) -> None:
        """Let nobody in any more, and tell all viewers to come back; their connections end by themselves."""
        self._is_closing = True
        self._garbage.restore()
        for feed in list(self._feeds.values()):
            for viewer in list(feed.viewers):
                viewer.close(Closing(GOING_AWAY, "shutdown"))
            await feed.close()

    def _end_room(self, room: str) -> None:
        feed = self._feeds.get(room)
        for viewer in list(feed.viewers) if feed is not None else ():
            viewer.close(Closing(NO_SUCH_ROOM, "room"))

    # Viewers

    @asynccontextmanager
    async def admit(self, visit: ViewerRequest) -> AsyncIterator[None]:
        """A viewer's place, as long as the block lasts.

        Raises:
            ViewerRefused: origin, ticket, room or a limit speaks against it.
        """
        why = refusal("closing") if self._is_closing else await self.admission.check(visit)
        why = why or self.admission.take_connection(visit)
        if why is not None:
            self.metrics.refuse(why.reason)
            raise ViewerRefused(why)
        try:
            yield
        finally:
            self.admission.limiter.give_back(visit.room, visit.ip)

    @asynccontextmanager
    async def watch(self, room: str, after: int | None) -> AsyncIterator[tuple[ViewerQueue, list[Message]]]:
        """The first messages of a connection, and the queue of all that follow, as long as the block lasts."""
        feed = await self._ready_feed(room)
        # Nothing is waited for between these: what the greeting lacks comes by the queue.
        queue = ViewerQueue(self._queue_messages)
        greeting = [feed.hello(), *feed.missed_since(after)]
        feed.viewers.add(queue)
        if self._is_closing:
            queue.close(Closing(GOING_AWAY, "shutdown"))
        try:
            yield queue, greeting
        finally:
            feed.viewers.discard(queue)
            await self._drop_if_unwatched(room, feed)

    def push_hello(self, room: str, queue: ViewerQueue) -> None:
        """Answer a viewer that asks what is shown. While that is being loaded it is not: a gap follows."""
        feed = self._feeds.get(room)
        if feed is not None and feed.ready.is_set():
            self.metrics.messages_dropped += queue.push(feed.hello())

    def card(self, room: str, card_id: str) -> CardEvent | None:
        """A card that a watched room shows now."""
        feed = self._feeds.get(room)
        return None if feed is None else feed.card(card_id)

    async def _ready_feed(self, room: str) -> RoomFeed:
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = RoomFeed(room, self._source, self._replay_events, self.metrics, self.public_url)
            feed.load()
        feed.joining += 1
        try:
            await asyncio.wait_for(feed.ready.wait(), _STATE_WITHIN_S)
        except TimeoutError:
            feed.joining -= 1
            await self._drop_if_unwatched(room, feed)
            self.metrics.refuse("bus")
            raise ViewerRefused(refusal("bus")) from None
        except asyncio.CancelledError:
            feed.joining -= 1
            await self._drop_if_unwatched(room, feed)
            raise
        feed.joining -= 1
        return feed

    async def _drop_if_unwatched(self, room: str, feed: RoomFeed) -> None:
        if not feed.viewers and not feed.joining and self._feeds.get(room) is feed:
            del self._feeds[room]
            await feed.close()

    def _miss(self, room: str | None) -> None:
        self.metrics.bus_gaps += 1
        for name, feed in self._feeds.items():
            if room in (None, name):
                feed.load()
