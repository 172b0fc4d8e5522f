"""The bus between processes: Redis streams and hashes."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.card import CardEvent
from livecart.core.errors import BusError
from livecart.events.base import BusItem, BusStats, check_after
from livecart.events.redis_keys import Keys, decode, parse_id
from livecart.events.redis_reader import RedisReader
from livecart.events.redis_sender import RedisSender
from livecart.events.subscription import Subscription

_log = logging.getLogger(__name__)


class RedisBus:
    """Owns its client. One publisher a room; any number of subscribers, each with a connection of its own."""

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "livecart",
        history: int = 1000,
        queue_size: int = 256,
        outbox_size: int = 1000,
        cards_ttl_s: float = 60.0,
        timeout_s: float = 2.0,
    ) -> None:
        """Nothing is connected before the first use.

        Args:
            client: must answer bytes and not retry by itself.
            prefix: of every key.
            history: events kept of each room, about.
            queue_size: items that wait for each subscriber.
            outbox_size: events that wait while Redis is away.
            cards_ttl_s: how long cards outlast their publisher.
            timeout_s: how long entering a subscription waits for Redis, and closing for what is unsent.
        """
        self.stats = BusStats()
        self._client = client
        self._keys = Keys(prefix)
        self._queue_size = queue_size
        self._timeout_s = timeout_s
        self._sender = RedisSender(
            client, self._keys, self.stats, history=history, outbox_size=outbox_size, cards_ttl_s=cards_ttl_s
        )
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    async def publish(self, event: CardEvent) -> None:
        self._check_open()
        self._sender.put(event)

    @asynccontextmanager
    async def subscribe(
        self, room: str | None = None, after_event_id: int | None = None
    ) -> AsyncIterator[AsyncIterator[BusItem]]:
        """While Redis is away this waits a moment; a `Gap` comes once Redis is back."""
        self._check_open()
        check_after(room, after_event_id)
        subscription = Subscription(room, self._queue_size, self.stats)
        reader = RedisReader(
            self._client, self._keys, self.stats, subscription, room=room, after_event_id=after_event_id
        )
        self._subscriptions.add(subscription)
        self.stats.subscribers += 1
        try:
            await reader.start(self._timeout_s)
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self.stats.subscribers -= 1
            await reader.stop()

    async def latest(self, room: str) -> list[CardEvent]:
        self._check_open()
        try:
            found: Any = await self._client.hvals(self._keys.cards(room))
        except (RedisError, OSError, TimeoutError) as error:
            raise BusError(f"the cards of room {room} cannot be read now ({error}); is Redis up?") from error
        cards = []
        for data in found:
            try:
                cards.append(decode(data, room))
            except msgspec.MsgspecError as error:
                self.stats.unreadable += 1
                _log.warning("%s holds something else than a card: %s", self._keys.cards(room), error)
        return sorted(cards, key=lambda card: card.event_id)

    async def last_event_id(self, room: str) -> int:
        self._check_open()
        try:
            found: Any = await self._client.xrevrange(self._keys.room(room), count=1)
        except (RedisError, OSError, TimeoutError) as error:
            raise BusError(f"the events of room {room} cannot be read now ({error}); is Redis up?") from error
        return parse_id(found[0][0])[1] if found else 0

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._sender.close(self._timeout_s)
        for subscription in self._subscriptions:
            subscription.close()
        await self._client.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed; open another one")
