"""Sends events to Redis, in order and once each, through an outbox that outlasts an outage."""

import asyncio
import logging
import time
from collections import deque
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from contract.card import CardEvent
from livecart.core.background import Backoff, end_task
from livecart.events.base import BusStats, CurrentCards
from livecart.events.redis_keys import EVENT, ID, RETRY_S, Keys, encode, entry_id, parse_id

logger = logging.getLogger(__name__)

#: A room's stream outlasts its last event by this: long enough for any viewer to resume.
_STREAM_TTL_S = 7 * 86_400


class RedisSender:
    """Owns one task. The outbox is bounded: when full, the oldest `update` goes, or else the oldest event."""

    def __init__(
        self, client: Redis, keys: Keys, stats: BusStats, *, history: int, outbox_size: int, cards_ttl_s: float
    ) -> None:
        self._client = client
        self._keys = keys
        self._stats = stats
        self._history = history
        self._all_history = 10 * history
        self._outbox_size = outbox_size
        self._cards_ttl_s = cards_ttl_s
        self._outbox: deque[CardEvent] = deque()
        self._cards = CurrentCards()
        #: Card ids, by room, whose withdrawal was dropped.
        self._to_delete: dict[str, set[str]] = {}
        self._epochs_ms: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._refresh_at_s = 0.0
        self._backoff = Backoff(*RETRY_S)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def put(self, event: CardEvent) -> None:
        if len(self._outbox) >= self._outbox_size:
            self._drop_one()
        self._outbox.append(event)
        self._cards.apply(event)
        self._stats.queued = len(self._outbox)
        self._idle.clear()
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="livecart bus sender")

    def _drop_one(self) -> None:
        dropped = next((event for event in self._outbox if event.event == "update"), self._outbox[0])
        self._outbox.remove(dropped)
        if dropped.event == "withdraw":
            self._to_delete.setdefault(dropped.room, set()).add(dropped.card_id)
        self._stats.dropped += 1

    async def close(self, timeout_s: float) -> None:
        """Send what waits, for so long at most, and end the task."""
        if self._task is None:
            return
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            logger.warning("bus closed with %d events unsent", len(self._outbox))
        self._stats.dropped += len(self._outbox)
        self._outbox.clear()
        self._stats.queued = 0
        self._stopping = True
        await end_task(self._task)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._work()
                if self._backoff.failures:
                    logger.warning("bus is back after %d failed attempts", self._backoff.failures)
                self._backoff.reset()
            except (RedisError, OSError, TimeoutError) as error:
                await self._back_off(error)
            except Exception as error:  # the task must outlast what nobody foresaw
                logger.exception("bus sender failed")
                await self._back_off(error)

    async def _back_off(self, error: Exception) -> None:
        self._stats.publish_failures += 1
        if not self._backoff.failures:
            logger.warning("bus is away, events wait in the outbox: %s", error)
        # What is in Redis when it is back is not known: the cards are written again.
        self._refresh_at_s = 0.0
        await self._backoff.wait()

    async def _work(self) -> None:
        """Send until the outbox is empty, keep the cards from expiring, wait for more."""
        # Before the outbox is read: what is put while something below waits must not be overlooked.
        self._wake.clear()
        while self._outbox:
            event = self._outbox[0]
            if await self._send(event):
                self._stats.published += 1
            else:
                self._stats.duplicates += 1
            # Meanwhile a full outbox may have dropped it.
            if self._outbox and self._outbox[0] is event:
                self._outbox.popleft()
            self._stats.queued = len(self._outbox)
        if time.monotonic() >= self._refresh_at_s:
            await self._refresh_cards()
        if not self._outbox:
            self._idle.set()
        try:
            await asyncio.wait_for(self._wake.wait(), max(self._refresh_at_s - time.monotonic(), 0.01))
        except TimeoutError:
            return

    async def _send(self, event: CardEvent) -> bool:
        """Put one event on the bus; False: it was there already."""
        payload = encode(event)
        epoch_ms = self._epochs_ms.get(event.room)
        if epoch_ms is None:
            epoch_ms = await self._newest_epoch_ms(event.room) or int(time.time() * 1000)
        if not await self._add(event, payload, epoch_ms):
            if await self._holds(event, payload, epoch_ms):
                self._epochs_ms[event.room] = epoch_ms
                return False
            # The room numbers its events anew.
            newest_ms = await self._newest_epoch_ms(event.room) or 0
            epoch_ms = max(int(time.time() * 1000), newest_ms + 1)
            if not await self._add(event, payload, epoch_ms):
                raise RedisError(f"room {event.room}: event {event.event_id} was refused; is there another publisher?")
        self._epochs_ms[event.room] = epoch_ms
        return True

    async def _add(self, event: CardEvent, payload: bytes, epoch_ms: int) -> bool:
        """The event to both streams, and the card; False: its id is not greater than the room's last.

        Redis runs the rest of a transaction even where it refuses the room's entry. That does no harm: the card is
        as it should be, and who reads the events of all rooms knows the number.
        """
        number = entry_id(epoch_ms, event.event_id)
        room, cards = self._keys.room(event.room), self._keys.cards(event.room)
        shown = next((card for card in self._cards.of(event.room) if card.card_id == event.card_id), None)
        async with self._client.pipeline(transaction=True) as pipe:
            # The card first: one that is not yet in the stream is only heard of twice.
            if shown is None:
                pipe.hdel(cards, event.card_id)
            else:
                pipe.hset(cards, event.card_id, encode(shown).decode())
            pipe.pexpire(cards, int(self._cards_ttl_s * 1000))
            pipe.xadd(room, {EVENT: payload}, id=number, maxlen=self._history, approximate=True)
            pipe.expire(room, _STREAM_TTL_S)
            pipe.xadd(self._keys.events, {EVENT: payload, ID: number}, maxlen=self._all_history, approximate=True)
            results = await pipe.execute(raise_on_error=False)
        refused = [result for result in results if isinstance(result, Exception)]
        if not refused:
            return True
        if len(refused) == 1 and isinstance(refused[0], ResponseError) and "equal or smaller" in str(refused[0]):
            return False
        raise refused[0]

    async def _holds(self, event: CardEvent, payload: bytes, epoch_ms: int) -> bool:
        number = entry_id(epoch_ms, event.event_id)
        found: Any = await self._client.xrange(self._keys.room(event.room), number, number)
        return any(fields.get(EVENT) == payload for _, fields in found)

    async def _newest_epoch_ms(self, room: str) -> int | None:
        found: Any = await self._client.xrevrange(self._keys.room(room), count=1)
        return parse_id(found[0][0])[0] if found else None

    async def _refresh_cards(self) -> None:
        """Keep the cards that are shown from expiring, and put them back after Redis lost them."""
        for room, card_ids in self._to_delete.items():
            await self._client.hdel(self._keys.cards(room), *card_ids)
        self._to_delete.clear()
        for room in self._cards.rooms():
            key = self._keys.cards(room)
            shown: dict[Any, Any] = {card.card_id: encode(card) for card in self._cards.of(room)}
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=shown)
                pipe.pexpire(key, int(self._cards_ttl_s * 1000))
                await pipe.execute()
        self._refresh_at_s = time.monotonic() + self._cards_ttl_s / 3
