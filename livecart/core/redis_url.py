"""URLs of what lies in this process's memory or in Redis, shared: `memory://` and `redis[s]://`."""

from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from livecart.core.errors import SettingsError

#: What a rediss:// URL may say about certificates, beside `prefix`: options of redis-py's connection of these names.
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})


class RedisUrl(NamedTuple):
    """A Redis server for redis-py, the prefix of every key, and the URL for people, without credentials."""

    server: str
    prefix: str
    shown: str


def parse_redis_url(url: str, what: str) -> RedisUrl | None:
    """Take `redis[s]://[user:password@]host[:port][/db][?prefix=name]` apart; None: it is `memory://`.

    Args:
        url: `rediss` is TLS; its query may hold `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths) and
            `ssl_cert_reqs` (`required`, `optional`, `none`).
        what: is opened by it, for errors.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{what} URL cannot be read ({error}); give memory:// or redis://host:port/db") from error
    shown = f"{parts.scheme}://{parts.hostname or ''}{f':{port}' if port else ''}{parts.path}"
    if parts.scheme == "memory":
        if parts.netloc or parts.path.strip("/") or parts.query:
            raise SettingsError(f"{what} URL {shown}: memory:// takes nothing more")
        return None
    if parts.scheme not in {"redis", "rediss"}:
        raise SettingsError(f"{what} URL {shown}: give memory:// or redis://host:port/db")
    if not parts.hostname or not (parts.path.strip("/") or "0").isdigit():
        raise SettingsError(f"{what} URL {shown}: needs a host, and a number as its path; redis://127.0.0.1:6379/0")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", "livecart")
    allowed = _TLS_OPTIONS if parts.scheme == "rediss" else frozenset()
    unknown = sorted(set(options) - allowed)
    if unknown or not prefix:
        raise SettingsError(
            f"{what} URL {shown}: {', '.join(unknown) or 'an empty prefix'} is not understood; "
            f"known are {', '.join(sorted({'prefix', *allowed}))}"
        )
    return RedisUrl(urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(options), "")), prefix, shown)
