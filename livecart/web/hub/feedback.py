"""Viewers' reports about cards: checked, counted once however often they are sent, and handed on."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple, Protocol

import msgspec
from cachetools import FIFOCache

from livecart.core.errors import LivecartError
from livecart.core.rate_limits import TokenBuckets
from livecart.web.hub.messages import FeedbackBatch, FeedbackEvent, FeedbackKind
from livecart.web.hub.metrics import HubMetrics

_log = logging.getLogger(__name__)

#: Ids of batches and of events that are remembered. A batch is sent again within a minute or two.
_MOST_KEYS = 100_000
#: Viewers keep what they cannot send; a clock that is wrong by more than this is no clock.
_OLDEST_S, _NEWEST_S = 86_400.0, 300.0
#: Batches of one network, which may stand for a whole office, over whatever connections: as many as by POST.
BATCHES_BURST, BATCHES_PER_S = 200.0, 20.0


class ViewerFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that one viewer did with one card.

    `at_s` by the viewer's idea of the hub's clock, `received_at_s` by the clock, both UNIX time. `viewer` is a
    name for this card alone: it tells the connections of a network apart, by how many there are at once, and is the
    same after a reconnect. By POST all viewers of a network are one. `source` is the same for all viewers of one
    network. Neither outlives this process or can be traced back to a network.
    """

    id: str
    room: str
    viewer: str
    kind: FeedbackKind
    card_id: str
    sku: str
    at_s: float
    received_at_s: float
    dwell_s: float | None
    source: str = ""


class FeedbackSink(Protocol):
    async def keep(self, events: Sequence[ViewerFeedback]) -> None:
        """Keep them. What raises is not acknowledged, so that the viewer sends it again."""


class RecentFeedback:
    """The sink where nothing else is wanted: the newest, in memory."""

    def __init__(self, most: int = 1000) -> None:
        self._events: deque[ViewerFeedback] = deque(maxlen=most)

    async def keep(self, events: Sequence[ViewerFeedback]) -> None:
        self._events.extend(events)

    @property
    def events(self) -> list[ViewerFeedback]:
        return list(self._events)


class FeedbackIntake:
    """Takes batches in. Of one network, 200 at once and 20 a second are read."""

    def __init__(self, sink: FeedbackSink, metrics: HubMetrics, *, most_keys: int = _MOST_KEYS) -> None:
        self._sink = sink
        self._metrics = metrics
        self._batches: FIFOCache[str, None] = FIFOCache(most_keys)
        self._events: FIFOCache[str, None] = FIFOCache(most_keys)
        self._in_progress: set[str] = set()
        self._networks = TokenBuckets(BATCHES_BURST, BATCHES_PER_S)
        self._salt = secrets.token_bytes(16)
        #: Of each network, the numbers of its open connections.
        self._numbers: dict[str, set[int]] = {}

    @contextmanager
    def numbered(self, network: str) -> Iterator[int]:
        """The lowest number, from 1, that no other connection of the network has, as long as the block lasts."""
        taken = self._numbers.setdefault(network, set())
        number = next(number for number in count(1) if number not in taken)
        taken.add(number)
        try:
            yield number
        finally:
            taken.discard(number)
            if not taken:
                del self._numbers[network]

    async def take(self, room: str, batch: FeedbackBatch, *, network: str, number: int = 0) -> bool:
        """Keep what is new in the batch; whether it may be acknowledged.

        Args:
            room: that the viewer watches.
            batch: what it sent.
            network: its address, as limits count it; kept only as a hash that nobody can undo.
            number: the connection's, of `numbered`; 0: by POST.
        """
        if not self._networks.take(network):
            self._metrics.refuse_feedback("rate")
            return False
        sender = _Sender(room, network, number, self._salt)
        batch_key = f"{room}\n{batch.batch_id}"
        if batch_key in self._batches:
            self._metrics.feedback_duplicates += len(batch.events)
            return True
        if batch_key in self._in_progress:
            # Sent again over another connection while the sink works: it is not known yet whether it is kept.
            return False
        self._in_progress.add(batch_key)
        try:
            return await self._keep(sender, batch, batch_key)
        finally:
            self._in_progress.discard(batch_key)

    async def _keep(self, sender: _Sender, batch: FeedbackBatch, batch_key: str) -> bool:
        room = sender.room
        fresh = self._fresh(room, batch.events)
        try:
            if fresh:
                now_s = time.time()
                await self._sink.keep([_named(event, sender, now_s) for event in fresh])
        except asyncio.CancelledError:
            self._forget(room, fresh)
            raise
        except Exception as error:  # noqa: BLE001  a sink's fault must not end the viewer's connection
            self._forget(room, fresh)
            self._metrics.background_failure("feedback_sink")
            # What is foreseen needs no trace: with the store down there would be one for each batch of each viewer.
            trace = None if isinstance(error, LivecartError) else error
            _log.error("room %s: %d feedback events not kept: %s", room, len(fresh), error, exc_info=trace)
            return False
        self._batches[batch_key] = None
        for event in fresh:
            self._metrics.count_feedback(event.kind)
        return True

    def _forget(self, room: str, events: list[FeedbackEvent]) -> None:
        """They were not kept: when the viewer sends them again, they are to be new."""
        for event in events:
            self._events.pop(f"{room}\n{event.id}", None)

    def _fresh(self, room: str, events: list[FeedbackEvent]) -> list[FeedbackEvent]:
        now_s = time.time()
        fresh = []
        for event in events:
            key = f"{room}\n{event.id}"
            if not now_s - _OLDEST_S <= event.at_s <= now_s + _NEWEST_S:
                self._metrics.refuse_feedback("time")
            elif key in self._events:
                self._metrics.feedback_duplicates += 1
            else:
                # Before the sink is waited for: the same event may come in another batch meanwhile.
                self._events[key] = None
                fresh.append(event)
        return fresh


class _Sender(NamedTuple):
    room: str
    network: str
    number: int
    salt: bytes

    def name(self, *parts: str) -> str:
        text = "\n".join((self.network, *parts))
        return hashlib.blake2b(text.encode(), key=self.salt, digest_size=8).hexdigest()


def _named(event: FeedbackEvent, sender: _Sender, received_at_s: float) -> ViewerFeedback:
    return ViewerFeedback(
        id=event.id,
        room=sender.room,
        viewer=sender.name(sender.room, event.card_id, str(sender.number)),
        source=sender.name(),
        kind=event.kind,
        card_id=event.card_id,
        sku=event.sku,
        at_s=event.at_s,
        received_at_s=received_at_s,
        dwell_s=event.dwell_s if event.kind == "dwell" else None,
    )
