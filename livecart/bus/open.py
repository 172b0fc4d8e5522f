"""A bus by its URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from livecart.bus.base import Bus
from livecart.bus.memory import MemoryBus
from livecart.errors import SettingsError

#: What a rediss:// URL may say about certificates, beside `prefix`: options of redis-py's connection of these names.
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
#: More than a blocking read takes (redis_reader.BLOCK_MS).
_SOCKET_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 2.0


def open_bus(
    url: str, *, history: int = 1000, queue_size: int = 256, outbox_size: int = 1000, cards_ttl_s: float = 60.0
) -> Bus:
    """Open `memory://` or `redis[s]://[user:password@]host[:port][/db][?prefix=name]`. Connects at the first use.

    Args:
        url: `rediss` is TLS; its query may hold `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths) and
            `ssl_cert_reqs` (`required`, `optional`, `none`).
        history: events kept of each room.
        queue_size: items that wait for each subscriber before the oldest is dropped.
        outbox_size: events that wait while Redis is away.
        cards_ttl_s: how long current cards outlast their publisher in Redis.

    Raises:
        SettingsError: the URL is none of these, or redis is not installed.
    """
    if min(history, queue_size, outbox_size) < 1 or cards_ttl_s <= 0:
        raise SettingsError("bus: history, queue_size, outbox_size and cards_ttl_s must be more than 0")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"bus URL cannot be read ({error}); give memory:// or redis://host:port/db") from error
    shown = f"{parts.scheme}://{parts.hostname or ''}{f':{port}' if port else ''}{parts.path}"
    if parts.scheme == "memory":
        if parts.netloc or parts.path.strip("/") or parts.query:
            raise SettingsError(f"bus URL {shown}: memory:// takes nothing more")
        return MemoryBus(history=history, queue_size=queue_size)
    if parts.scheme not in {"redis", "rediss"}:
        raise SettingsError(f"bus URL {shown}: give memory:// or redis://host:port/db")
    if not parts.hostname or not (parts.path.strip("/") or "0").isdigit():
        raise SettingsError(f"bus URL {shown}: needs a host, and a number as its path; redis://127.0.0.1:6379/0")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", "livecart")
    allowed = _TLS_OPTIONS if parts.scheme == "rediss" else frozenset()
    unknown = sorted(set(options) - allowed)
    if unknown or not prefix:
        raise SettingsError(
            f"bus URL {shown}: {', '.join(unknown) or 'an empty prefix'} is not understood; "
            f"known are {', '.join(sorted({'prefix', *allowed}))}"
        )
    server = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(options), ""))
    return _open_redis(
        server, prefix, history=history, queue_size=queue_size, outbox_size=outbox_size, cards_ttl_s=cards_ttl_s
    )


def _open_redis(url: str, prefix: str, *, history: int, queue_size: int, outbox_size: int, cards_ttl_s: float) -> Bus:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from livecart.bus.redis_bus import RedisBus
    except ImportError as error:
        raise SettingsError("a redis:// bus needs the extra: pip install 'livecart[redis]'") from error
    client = Redis.from_url(
        url,
        socket_timeout=_SOCKET_TIMEOUT_S,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        # The bus tries again by itself; a retry inside a call would only make it take longer.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )
    return RedisBus(
        client,
        prefix=prefix,
        history=history,
        queue_size=queue_size,
        outbox_size=outbox_size,
        cards_ttl_s=cards_ttl_s,
    )
