"""One request to a feed: bounded in size and time, tried again where that may help, its secrets never in a message."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import urlsplit

import aiohttp
import msgspec

from livecart.core.background import Backoff
from livecart.core.errors import SettingsError
from livecart.core.printable import printable
from livecart.shop.errors import FeedError
from livecart.shop.sync.source import NO_VALIDATORS, Feed, Validators

#: Between two pieces of an answer; a server that drips is ended by `within_s`.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)
#: Whatever `Retry-After` says.
_MOST_PAUSE_S = 30.0
_CHUNK_BYTES = 64 * 1024
_OK = 200
_NOT_MODIFIED = 304
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRIED_AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Request:
    """`body` None: a GET, else a POST of it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer's head; its body is in the file that was given. `unchanged`: there is none."""

    url: str
    validators: Validators
    #: URL of the next page, of a `Link: <…>; rel="next"` header.
    next_url: str | None
    unchanged: bool = False
    #: The encoding that its Content-Type names.
    charset: str | None = None
    status: int = 200
    #: The server's clock, UNIX time, of its Date header.
    date_s: float | None = None


class Fetcher:
    """Asks one server. One thread at a time; `close` may come from any."""

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        headers_from_env: Mapping[str, str],
        most_bytes: int,
        retries: int = 3,
        backoff_s: float = 0.5,
        within_s: float = 600.0,
    ) -> None:
        """Opens no connection.

        Args:
            headers: sent with each request.
            headers_from_env: header to environment variable, for tokens: they are not to stand in a file.
            most_bytes: of one answer.
            retries: of an answer 429, 500, 502, 503 or 504 (`Retry-After` is kept to, up to 30 s) and of a lost
                connection.
            backoff_s: before the first retry; see `Backoff`.
            within_s: for one answer, its retries among it.
        """
        secrets = {}
        for header, variable in headers_from_env.items():
            value = os.environ.get(variable)
            if not value:
                raise SettingsError(f"environment variable {variable} is not set; it holds the feed's {header} header")
            secrets[header] = value
        self._headers = {"User-Agent": "livecart-sync", **headers, **secrets}
        self._most_bytes = most_bytes
        self._retries = retries
        self._backoff_s = backoff_s
        self._within_s = within_s
        self._is_closed = False
        self._running: asyncio.Task[Fetched] | None = None

    def get(self, url: str, into: BinaryIO, *, validators: Validators = NO_VALIDATORS) -> Fetched:
        """Fetch `url`; the body is appended to `into`.

        A redirect is not followed: the headers may hold a token that only the configured server may see.

        Raises:
            FeedError: no answer in time, another status than 200 and 304, too large a body, or it was closed.
        """
        headers = {}
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        return self.send(lambda: Request(url, headers), into, where=without_query(url))

    def send(
        self, make: Callable[[], Request], into: BinaryIO, *, where: str, with_status: frozenset[int] = frozenset()
    ) -> Fetched:
        """As `get`, of a request that is made anew for each try: a signature holds the time.

        Args:
            make: gives the request.
            into: as of `get`.
            where: for messages.
            with_status: statuses of answers whose body is wanted too.
        """
        try:
            return asyncio.run(self._send(make, into, where, with_status))
        except (aiohttp.ClientError, TimeoutError, asyncio.CancelledError, ValueError) as error:
            # A ValueError is of a header that cannot be sent, such as a token that holds a line's end.
            raise FeedError("feed_silent", where=where, cause=type(error).__name__) from error
        finally:
            self._running = None

    def close(self) -> None:
        """End what is being fetched; nothing is fetched any more."""
        self._is_closed = True
        if (task := self._running) is not None:
            # Its loop is closed where it has just ended.
            with suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)

    async def _send(
        self, make: Callable[[], Request], into: BinaryIO, where: str, with_status: frozenset[int]
    ) -> Fetched:
        self._running = asyncio.current_task()
        if self._is_closed:
            raise asyncio.CancelledError
        # Only what the settings say: no proxies, cookies and .netrc of whoever runs this.
        session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        async with asyncio.timeout(self._within_s), session:
            backoff = Backoff(self._backoff_s, _MOST_PAUSE_S)
            for retry in range(self._retries + 1):
                is_last = retry == self._retries
                pause_s = backoff.next_wait_s()
                request = make()
                method = "GET" if request.body is None else "POST"
                try:
                    answer = await session.request(
                        method, request.url, headers=request.headers, data=request.body, allow_redirects=False
                    )
                except aiohttp.ClientConnectionError:
                    if is_last:
                        raise
                else:
                    async with answer:
                        if is_last or answer.status not in _TRIED_AGAIN:
                            return await self._take(answer, where, into, with_status)
                    if (after := answer.headers.get("Retry-After")) is not None:
                        # Where it is a date, it is long enough to wait for the most.
                        pause_s = float(after) if after.isdecimal() else _MOST_PAUSE_S
                await asyncio.sleep(min(pause_s, _MOST_PAUSE_S))
        raise AssertionError("unreachable")  # pragma: no cover

    async def _take(
        self, answer: aiohttp.ClientResponse, where: str, into: BinaryIO, with_status: frozenset[int]
    ) -> Fetched:
        url = str(answer.url)
        if answer.status == _NOT_MODIFIED:
            return Fetched(url, Validators(), None, unchanged=True)
        if answer.status in _REDIRECTS and "Location" in answer.headers:
            raise FeedError("feed_moved", where=where, target=without_query(answer.headers["Location"]))
        if answer.status not in {_OK, *with_status}:
            raise FeedError("feed_status", where=where, status=answer.status)
        received = 0
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            received += len(chunk)
            if received > self._most_bytes:
                raise FeedError("feed_too_large", where=where, most_bytes=self._most_bytes)
            into.write(chunk)
        return Fetched(
            url,
            Validators(_kept(answer, "ETag"), _kept(answer, "Last-Modified")),
            _next_url(answer, where),
            charset=answer.charset,
            status=answer.status,
            date_s=_date_s(answer),
        )


def _date_s(answer: aiohttp.ClientResponse) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def _kept(answer: aiohttp.ClientResponse, header: str) -> str | None:
    """A header that can be stored and sent again."""
    value = answer.headers.get(header)
    return value if value is not None and value.isascii() else None


def _next_url(answer: aiohttp.ClientResponse, shown: str) -> str | None:
    try:
        following = answer.links.get("next")
    except ValueError as error:
        raise FeedError("feed_next_malformed", where=shown, path="Link") from error
    return str(following["url"]) if following else None


class HttpFeed(Feed, frozen=True, kw_only=True):
    """Settings of a feed that is fetched."""

    #: https, or http to a host of one's own.
    url: str
    #: Sent with each request.
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    #: Header to the environment variable that holds its value.
    headers_from_env: dict[str, str] = msgspec.field(default_factory=dict)


class HttpSource:
    """A `Source` that is fetched."""

    def __init__(self, feed: HttpFeed, fetcher: Fetcher | None, *, accept: str, most_bytes: int) -> None:
        self.name = feed.name
        self._fetcher = fetcher or Fetcher(
            headers={"Accept": accept, **feed.headers}, headers_from_env=feed.headers_from_env, most_bytes=most_bytes
        )

    def close(self) -> None:
        self._fetcher.close()


def without_query(url: str) -> str:
    """The URL without its query, which may hold a token."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that is none"
    return printable(f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}")


def same_server(one: str, other: str) -> bool:
    """True where both have the same scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)
