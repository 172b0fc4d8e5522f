"""A stock cache from its URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from livecart.catalog.database.store import Store
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.memory_entries import MemoryEntries
from livecart.errors import SettingsError

#: A look-up decides over a card that is due now: rather ask the database than wait for Redis.
_SOCKET_TIMEOUT_S = 0.25
_MOST_CONNECTIONS = 32
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})


def open_cache(url: str, store: Store, *, max_age_s: float = 5.0) -> StockCache:
    """Open `memory://` or `redis[s]://[user:password@]host[:port][/db][?prefix=name]`. Connects at the first use.

    Args:
        url: memory:// is this process's own; redis:// is shared by all of them.
        store: what is read through it.
        max_age_s: no card is confirmed on what is older, in seconds.

    Raises:
        SettingsError: the URL is neither, or redis is not installed.
    """
    if max_age_s <= 0:
        raise SettingsError("cache: max_age_s must be more than 0")
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError as error:
        raise SettingsError(f"cache URL cannot be read ({error}); give memory:// or redis://host:port/db") from error
    if parts.scheme == "memory":
        return StockCache(store, MemoryEntries(), max_age_s=max_age_s, now_s=store.now_s)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise SettingsError(f"cache URL {shown}: give memory:// or redis://host:port/db")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", "livecart")
    if not (parts.path.strip("/") or "0").isdigit():
        raise SettingsError(f"cache URL {shown}: the path is the database's number; redis://127.0.0.1:6379/0")
    unknown = sorted(set(options) - (_TLS_OPTIONS if parts.scheme == "rediss" else set()))
    if unknown or not prefix:
        raise SettingsError(f"cache URL {shown}: {', '.join(unknown) or 'an empty prefix'} is not understood")
    server = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(options), ""))
    return _open_redis(server, shown, prefix, store, max_age_s)


def _open_redis(server: str, shown: str, prefix: str, store: Store, max_age_s: float) -> StockCache:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from livecart.catalog.stock.redis_entries import RedisEntries
    except ImportError as error:
        raise SettingsError("a redis:// cache needs the extra: pip install 'livecart[redis]'") from error
    try:
        pool = redis.BlockingConnectionPool.from_url(
            server,
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
        raise SettingsError(f"cache URL {shown}: {error}") from error
    entries = RedisEntries(client, prefix=prefix, keep_s=max_age_s)
    return StockCache(store, entries, max_age_s=max_age_s, now_s=store.now_s)
