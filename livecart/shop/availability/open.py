"""An availability cache from its URL."""

import time

from livecart.core.errors import SettingsError
from livecart.core.redis_url import RedisUrl, parse_redis_url
from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.entries import Entries, MemoryEntries
from livecart.shop.database.store import Store

#: A look-up decides over a card that is due now: rather ask the database than wait for Redis.
_SOCKET_TIMEOUT_S = 0.25
_MOST_CONNECTIONS = 32


def open_cache(url: str, store: Store, *, max_age_s: float = 5.0) -> AvailabilityCache:
    """Open `memory://` or `redis[s]://[user:password@]host[:port][/db][?prefix=name]`. Connects at the first use."""
    if max_age_s <= 0:
        raise SettingsError("cache: max_age_s must be more than 0")
    redis_url = parse_redis_url(url, "cache")
    entries: Entries
    if redis_url is None:
        entries = MemoryEntries(keep_s=max_age_s, monotonic_s=time.monotonic)
    else:
        entries = _open_redis(redis_url, max_age_s)
    return AvailabilityCache(store, entries, max_age_s=max_age_s, now_s=store.now_s)


def _open_redis(url: RedisUrl, keep_s: float) -> Entries:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from livecart.shop.availability.redis_entries import RedisEntries
    except ImportError as error:
        raise SettingsError("a redis:// cache needs the extra: pip install 'livecart[redis]'") from error
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url.server,
            max_connections=_MOST_CONNECTIONS,
            timeout=_SOCKET_TIMEOUT_S,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            # `RedisEntries` leaves Redis alone after a failure; a retry inside would only make the look-up wait.
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        client = redis.Redis.from_pool(pool)
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"cache URL {url.shown}: {error}") from error
    return RedisEntries(client, prefix=url.prefix, keep_s=keep_s)
