"""A bus by its URL."""

from livecart.core.errors import SettingsError
from livecart.core.redis_url import RedisUrl, parse_redis_url
from livecart.events.base import Bus
from livecart.events.memory import MemoryBus

#: More than a blocking read takes (redis_reader.BLOCK_MS).
_SOCKET_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 2.0


def open_bus(
    url: str, *, history: int = 1000, queue_size: int = 256, outbox_size: int = 1000, cards_ttl_s: float = 60.0
) -> Bus:
    """Open `memory://` or `redis[s]://[user:password@]host[:port][/db][?prefix=name]`. Connects at the first use.

    Args:
        url: see `parse_redis_url`.
        history: events kept of each room.
        queue_size: items that wait for each subscriber before the oldest is dropped.
        outbox_size: events that wait while Redis is away.
        cards_ttl_s: how long current cards outlast their publisher in Redis.
    """
    if min(history, queue_size, outbox_size) < 1 or cards_ttl_s <= 0:
        raise SettingsError("bus: history, queue_size, outbox_size and cards_ttl_s must be more than 0")
    redis_url = parse_redis_url(url, "bus")
    if redis_url is None:
        return MemoryBus(history=history, queue_size=queue_size)
    return _open_redis(
        redis_url, history=history, queue_size=queue_size, outbox_size=outbox_size, cards_ttl_s=cards_ttl_s
    )


def _open_redis(url: RedisUrl, *, history: int, queue_size: int, outbox_size: int, cards_ttl_s: float) -> Bus:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from livecart.events.redis_bus import RedisBus
    except ImportError as error:
        raise SettingsError("a redis:// bus needs the extra: pip install 'livecart[redis]'") from error
    client = Redis.from_url(
        url.server,
        socket_timeout=_SOCKET_TIMEOUT_S,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        # The bus tries again by itself; a retry inside a call would only make it take longer.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )
    return RedisBus(
        client,
        prefix=url.prefix,
        history=history,
        queue_size=queue_size,
        outbox_size=outbox_size,
        cards_ttl_s=cards_ttl_s,
    )
