"""Follows a stream in Redis for one subscriber, across outages."""

import asyncio
import logging
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecart.core.background import Backoff, end_task
from livecart.events.base import BusStats, Gap
from livecart.events.redis_keys import EVENT, ID, RETRY_S, Keys, decode, entry_id, parse_id
from livecart.events.subscription import Continuity, Subscription

logger = logging.getLogger(__name__)

#: How long one read waits at Redis. Shorter than the connection's timeout, so that silence is not taken for death.
BLOCK_MS = 1000
_BATCH = 256


class RedisReader:
    """Owns one task, which runs from `start` to `stop`."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        stats: BusStats,
        subscription: Subscription,
        *,
        room: str | None,
        after_event_id: int | None,
    ) -> None:
        self._client = client
        self._stats = stats
        self._subscription = subscription
        self._room = room
        self._after_event_id = after_event_id
        self._key = keys.events if room is None else keys.room(room)
        self._continuity = Continuity()
        self._cursor: str | None = None
        self._placed = asyncio.Event()
        self._late = False
        self._backoff = Backoff(*RETRY_S)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self, timeout_s: float) -> None:
        """Begin. Returns once the place in the stream is known, or after the time: then a `Gap` comes once it is."""
        self._task = asyncio.create_task(self._run(), name="livecart bus reader")
        try:
            await asyncio.wait_for(self._placed.wait(), timeout_s)
        except TimeoutError:
            self._late = True

    async def stop(self) -> None:
        self._stopping = True
        await end_task(self._task)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                if self._cursor is None:
                    self._cursor = await self._place()
                    self._placed.set()
                    if self._late and self._after_event_id is None:
                        self._subscription.push(Gap(self._room, 0))
                await self._read(self._cursor)
                if self._backoff.failures:
                    logger.warning("bus is back for a subscriber after %d failed attempts", self._backoff.failures)
                self._backoff.reset()
            except (RedisError, OSError, TimeoutError) as error:
                await self._back_off(error)
            except Exception as error:  # the task must outlast what nobody foresaw
                logger.exception("bus reader failed")
                await self._back_off(error)

    async def _back_off(self, error: Exception) -> None:
        self._stats.read_failures += 1
        if not self._backoff.failures:
            logger.warning("bus is away, a subscriber waits: %s", error)
        await self._backoff.wait()

    async def _place(self) -> str:
        """The id after which to read."""
        found: Any = await self._client.xrevrange(self._key, count=1)
        after = self._after_event_id
        if self._room is None or after is None:
            return found[0][0].decode() if found else "0-0"
        if not found:
            self._continuity.begin(self._room, None, after)
            return "0-0"
        epoch_ms, last_id = parse_id(found[0][0])
        if after > last_id:
            # The room numbers its events anew: all of them are new to this subscriber.
            self._continuity.begin(self._room, None, after)
            return entry_id(epoch_ms, 0)
        self._continuity.begin(self._room, epoch_ms, after)
        return entry_id(epoch_ms, after)

    async def _read(self, cursor: str) -> None:
        answer: Any = await self._client.xread({self._key: cursor}, count=_BATCH, block=BLOCK_MS)
        for _, entries in answer or ():
            for number, fields in entries:
                self._take(number, fields)
                self._cursor = number.decode()

    def _take(self, number: bytes, fields: dict[bytes, bytes]) -> None:
        try:
            epoch_ms, event_id = parse_id(number if self._room is not None else fields[ID])
            event = decode(fields[EVENT], self._room)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            self._stats.unreadable += 1
            logger.warning("entry %s of %s is no event: %s", number, self._key, error)
            return
        step = self._continuity.step(event.room, epoch_ms, event_id)
        if step.missed is not None:
            self._subscription.push(Gap(event.room, step.missed))
        if not step.duplicate:
            self._subscription.push(event)
