"""One watched room: what it shows, what happened lately, who watches."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from contract.card import CardEvent
from livecart.core.background import Backoff, end_task
from livecart.core.card_links import REPORTED, go_link
from livecart.core.errors import BusError
from livecart.web.hub.messages import GAP, Message, current_cards, event_message, hello
from livecart.web.hub.metrics import HubMetrics
from livecart.web.hub.viewer_connection import ViewerQueue


class RoomEvents(Protocol):
    """The part of `livecart.events.Bus` that the hub reads. Every method raises BusError while the bus is away."""

    def subscribe(
        self, room: str | None = None, after_event_id: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """`CardEvent`, and gaps (`room` None: nobody knows whose), of a room or all; ends when the bus is closed."""

    async def latest(self, room: str) -> list[CardEvent]:
        """The cards that the room shows now."""

    async def last_event_id(self, room: str) -> int:
        """Id of the room's newest event, 0 where there is none."""


_log = logging.getLogger(__name__)

_BACKOFF_FIRST_S, _BACKOFF_MOST_S = 0.2, 5.0
#: How long the bus may take to give what happened before the first viewer came.
_HISTORY_WITHIN_S = 2.0


class RoomFeed:
    """Loads the room's state from the bus, then follows its events. Owns one task while it loads."""

    def __init__(
        self, room: str, source: RoomEvents, replay_events: int, metrics: HubMetrics, public_url: str | None = None
    ) -> None:
        self._room = room
        self._source = source
        self._replay_events = replay_events
        self._metrics = metrics
        self._public_url = public_url
        self.viewers: set[ViewerQueue] = set()
        #: Connections that wait for the state.
        self.joining = 0
        #: Set while the state is known.
        self.ready = asyncio.Event()
        self._cards: dict[str, CardEvent] = {}
        self._current: bytes | None = None
        self._last_event_id = 0
        #: Without holes: each id is one more than the one before it, the last is `_last_event_id`.
        self._recent: deque[tuple[int, Message]] = deque(maxlen=replay_events)
        #: What happens while the state is loaded.
        self._pending: deque[CardEvent] = deque(maxlen=replay_events)
        self._missed_while_loading = False
        self._task: asyncio.Task[None] | None = None

    # State

    def load(self) -> None:
        """Ask the bus what the room shows, until it answers. Viewers that are here are then told of a gap."""
        self.ready.clear()
        if self._task is not None and not self._task.done():
            # Whatever was missed now may be missing in what is being loaded.
            self._missed_while_loading = True
            return
        self._task = asyncio.create_task(self._load(), name=f"livecart hub load {self._room}")

    async def close(self) -> None:
        await end_task(self._task)

    def take(self, event: CardEvent) -> None:
        """Take in the room's next event, and hand it to all viewers."""
        event = self._linked(event)
        if not self.ready.is_set():
            self._missed_while_loading |= len(self._pending) == self._replay_events
            self._pending.append(event)
            return
        if event.event_id <= self._last_event_id:
            if (event.event_id, event_message(event).text) not in ((id_, kept.text) for id_, kept in self._recent):
                # The room numbers its events anew, or the bus gives what is long past: it knows what holds.
                self.load()
                self.take(event)
            return
        self.broadcast(self._append(event))

    def broadcast(self, message: Message) -> None:
        """The same message to all viewers; never waits."""
        dropped = high = 0
        for viewer in self.viewers:
            dropped += viewer.push(message)
            high = max(high, len(viewer))
        self._metrics.messages_dropped += dropped
        self._metrics.queue_high_water = max(self._metrics.queue_high_water, high)

    # What a viewer gets

    def hello(self) -> Message:
        if self._current is None:
            self._current = current_cards(sorted(self._cards.values(), key=lambda card: card.event_id))
        return hello(self._room, self._last_event_id, self._current)

    def card(self, card_id: str) -> CardEvent | None:
        return self._cards.get(card_id)

    def missed_since(self, event_id: int | None) -> list[Message]:
        """Messages after an event id; a gap where not all of them are kept."""
        if event_id is None or event_id >= self._last_event_id:
            # Greater than ours: the room began anew, which the viewer sees by the hello.
            return []
        if not self._recent or self._recent[0][0] > event_id + 1:
            return [GAP]
        return [message for number, message in self._recent if number > event_id]

    # Loading

    async def _load(self) -> None:
        backoff = Backoff(_BACKOFF_FIRST_S, _BACKOFF_MOST_S)
        while True:
            self._missed_while_loading = False
            self._pending.clear()
            try:
                await self._ask()
            except BusError as error:
                if not backoff.failures:
                    _log.warning("room %s: what it shows is not known, viewers wait: %s", self._room, error)
            except Exception:  # noqa: BLE001  the room's viewers must not wait for ever
                self._metrics.background_failure("hub_room")
                _log.exception("room %s: what it shows could not be loaded", self._room)
            else:
                if not self._missed_while_loading:
                    break
            await backoff.wait()
        self.ready.set()
        self.broadcast(GAP)
        for event in self._pending:
            if event.event_id > self._last_event_id:
                self.broadcast(self._append(event))
        self._pending.clear()

    async def _ask(self) -> None:
        # In this order: the cards may be newer than the id, never older. What is applied twice does no harm.
        last_event_id = await self._source.last_event_id(self._room)
        recent = await self._history(last_event_id)
        cards = await self._source.latest(self._room)
        self._last_event_id = last_event_id
        self._recent = deque(((e.event_id, event_message(e)) for e in recent), maxlen=self._replay_events)
        self._cards = {card.card_id: self._linked(card) for card in cards}
        self._current = None

    async def _history(self, last_event_id: int) -> list[CardEvent]:
        """The room's events up to this one, as many as are wanted and kept; none where they have a hole."""
        kept: list[CardEvent] = []
        if last_event_id == 0:
            return kept
        after = max(0, last_event_id - self._replay_events)
        try:
            async with asyncio.timeout(_HISTORY_WITHIN_S), self._source.subscribe(self._room, after) as items:
                async for item in items:
                    if not isinstance(item, CardEvent):
                        kept.clear()
                        continue
                    kept.append(self._linked(item))
                    if item.event_id >= last_event_id:
                        break
        except TimeoutError:
            _log.warning("room %s: the bus did not give its last events in time; nobody can resume", self._room)
        return kept if kept and kept[-1].event_id == last_event_id else []

    def _linked(self, event: CardEvent) -> CardEvent:
        """With the link that counts, where there is one; viewers tell of their clicks themselves."""
        link = go_link(self._public_url, event.card_id)
        return event if link is None else msgspec.structs.replace(event, url=link + REPORTED)

    def _append(self, event: CardEvent) -> Message:
        if event.event_id != self._last_event_id + 1:
            self._recent.clear()
        message = event_message(event)
        self._recent.append((event.event_id, message))
        self._last_event_id = event.event_id
        shown = self._cards.get(event.card_id)
        if event.event == "withdraw":
            self._cards.pop(event.card_id, None)
        elif shown is None or shown.event_id < event.event_id:
            self._cards[event.card_id] = msgspec.structs.replace(event, event="card")
        self._current = None
        return message
