"""Pictures that products name by URL, fetched and kept as photos: two at a time of a host, from public addresses alone.

A picture that does not come never holds up another, nor its feed.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import aiohttp
from sqlalchemy.orm import Session

from livecart.core.background import Backoff
from livecart.core.printable import printable
from livecart.core.public_address import AddressNotPublic, ThreadedNames, public_socket
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError, InvalidValue, StoreUnavailable
from livecart.shop.repositories import image_fetches
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.image_fetches import Due
from livecart.shop.repositories.photo_check import MOST_BYTES, check_photo

_log = logging.getLogger(__name__)
T = TypeVar("T")
_WHO = "images"
_AT_ONCE, _AT_ONCE_PER_HOST = 8, 2
_BATCH = 64
_LOOK_EVERY_S = 5.0
#: Waits between the tries of a picture that may come yet; after the last one it is refused.
RETRY_WAITS_S = (60.0, 300.0, 1800.0, 7200.0, 21_600.0, 86_400.0)
#: A picture with an ETag is asked for again after so long, which costs its server a header.
AGAIN_AFTER_S = 86_400.0
#: What was refused may have been mended there.
REFUSED_AGAIN_S = 7 * 86_400.0
#: A host that does not answer, or asks for patience, is left alone for so long, twice as long each time.
HOST_PAUSE_S, MOST_HOST_PAUSE_S = 60.0, 3600.0
_DATABASE_FIRST_RETRY_S, _DATABASE_LAST_RETRY_S = 1.0, 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=10.0, sock_read=20.0)
_CHUNK_BYTES = 64 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Statuses behind which a picture may come yet (RFC 9110).
_MAY_COME = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOO_MANY = 429
_MOST_PAUSE_S = 86_400.0
#: One for all batches: its threads are started at the first name.
_NAMES = ThreadedNames()


@dataclass
class ImageStats:
    """Counted since the start. `held` wait for a person; `crashes` are faults of ours."""

    kept: int = 0
    held: int = 0
    unchanged: int = 0
    refused: int = 0
    retried: int = 0
    crashes: int = 0


class _Later(Exception):
    """It may come yet, after `after_s` at the soonest. `of_host`: its host is to be left alone."""

    def __init__(self, why: CatalogError, *, after_s: float = 0.0, of_host: bool = False) -> None:
        super().__init__(str(why))
        self.why = why
        self.after_s = after_s
        self.of_host = of_host


@dataclass
class _Pause:
    """A host that is left alone until then, on the event loop's clock."""

    until_s: float = 0.0
    length_s: float = 0.0


def public_connector() -> aiohttp.TCPConnector:
    """Connects to public addresses, each looked up once."""
    return aiohttp.TCPConnector(limit=_AT_ONCE, resolver=_NAMES, socket_factory=public_socket)


class ImageFetcher:
    """Fetches what is due. Several processes may; each takes other pictures."""

    def __init__(
        self,
        store: Store,
        blobs: BlobFolder,
        *,
        connector: Callable[[], aiohttp.BaseConnector] = public_connector,
    ) -> None:
        """Opens no connection."""
        self.stats = ImageStats()
        self._store = store
        self._blobs = blobs
        self._connector = connector
        self._pauses: dict[str, _Pause] = {}
        # Of its own: a picture that takes long to decode holds up nobody else's work.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="images")

    async def run(self) -> None:
        """Fetch, for ever."""
        backoff = Backoff(_DATABASE_FIRST_RETRY_S, _DATABASE_LAST_RETRY_S)
        while True:
            try:
                fetched = await self.fetch_due()
            except StoreUnavailable as error:
                _log.warning("pictures are fetched later: %s", error)
                await backoff.wait()
                continue
            backoff.reset()
            if not fetched:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def fetch_due(self) -> int:
        """Fetch up to 64 pictures that are due, and drop what is named no more; how many were tried or dropped."""
        now_s = asyncio.get_running_loop().time()
        paused = [host for host, pause in self._pauses.items() if pause.until_s > now_s]
        due = await self._edit(partial(image_fetches.take, limit=_BATCH, but_of=paused))
        if due:
            session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "livecart-images", "Accept": "image/*"},
            )
            hosts: dict[str, asyncio.Semaphore] = {}
            at_once = asyncio.Semaphore(_AT_ONCE)
            async with session:
                fetches = []
                for each in due:
                    host = hosts.setdefault(each.host, asyncio.Semaphore(_AT_ONCE_PER_HOST))
                    fetches.append(self._fetch(session, each, host, at_once))
                results = await asyncio.gather(*fetches, return_exceptions=True)
            for failure in filter(None, results):
                raise failure
        return len(due) + await self._edit(image_fetches.drop_replaced)

    async def _edit(self, work: Callable[[Session], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._store.edit, _WHO, work)

    async def _fetch(
        self, session: aiohttp.ClientSession, due: Due, host: asyncio.Semaphore, at_once: asyncio.Semaphore
    ) -> None:
        loop = asyncio.get_running_loop()
        # In this order: who waits for its host takes no place from others.
        async with host, at_once:
            try:
                self._check_host(due.host)
                found = await _get(session, due)
                self._pauses.pop(due.host, None)
                if found is None:
                    await self._edit(partial(image_fetches.unchanged, due=due, again_s=AGAIN_AFTER_S))
                    self.stats.unchanged += 1
                    return
                data, etag = found
                photo = await loop.run_in_executor(self._threads, check_photo, data)
                again_s = AGAIN_AFTER_S if etag else None
                keep = partial(image_fetches.keep, blobs=self._blobs, due=due, photo=photo, etag=etag, again_s=again_s)
                if await self._edit(keep):
                    self.stats.kept += 1
                else:
                    self.stats.held += 1
            except StoreUnavailable:
                raise
            except InvalidValue as error:
                await self._refuse(due, error)
            except _Later as error:
                await self._put_off(due, error)
            except CatalogError as error:
                await self._put_off(due, _Later(error))
            except Exception as error:  # noqa: BLE001  whatever one picture does, the others come
                self.stats.crashes += 1
                _log.exception("the picture %s of %s", _shown(due.url), due.sku)
                await self._put_off(due, _Later(InvalidValue("photo", "image_crash", cause=type(error).__name__)))

    def _check_host(self, host: str) -> None:
        pause, now_s = self._pauses.get(host), asyncio.get_running_loop().time()
        if pause is not None and pause.until_s > now_s:
            raise _Later(InvalidValue("photo", "image_host_left_alone"), of_host=True)

    async def _refuse(self, due: Due, why: CatalogError) -> None:
        self.stats.refused += 1
        _log.warning("the picture %s of %s is refused: %s", _shown(due.url), due.sku, why.text())
        await self._edit(partial(image_fetches.refuse, due=due, why=why, again_s=REFUSED_AGAIN_S))

    async def _put_off(self, due: Due, error: _Later) -> None:
        now_s = asyncio.get_running_loop().time()
        if error.of_host:
            pause = self._pauses.setdefault(due.host, _Pause())
            if pause.until_s <= now_s:
                length_s = min(max(2 * pause.length_s, HOST_PAUSE_S), MOST_HOST_PAUSE_S)
                pause.length_s = max(length_s, error.after_s)
                pause.until_s = now_s + pause.length_s
            again_s = pause.until_s - now_s
        elif due.tries >= len(RETRY_WAITS_S):
            await self._refuse(due, error.why)
            return
        else:
            again_s = max(RETRY_WAITS_S[due.tries], error.after_s)
        self.stats.retried += 1
        counts = not error.of_host
        await self._edit(partial(image_fetches.put_off, due=due, why=error.why, again_s=again_s, counts=counts))


async def fetch_all(fetcher: ImageFetcher, on_progress: Callable[[int], None]) -> None:
    """Fetch until nothing is due; `on_progress` gets how many were tried so far."""
    tried = 0
    while fetched := await fetcher.fetch_due():
        tried += fetched
        on_progress(tried)


async def _get(session: aiohttp.ClientSession, due: Due) -> tuple[bytes, str | None] | None:
    """The picture's bytes and ETag; None where it is as it was."""
    url = due.url
    headers = {"If-None-Match": due.etag} if due.etag else {}
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            _check_url(url)
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in _REDIRECTS and "Location" in answer.headers:
                    url = urljoin(url, answer.headers["Location"])
                    continue
                if answer.status == 304 and due.etag:
                    return None
                if answer.status != 200:
                    raise _failure(answer)
                return await _read(answer), _etag_of(answer)
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, AddressNotPublic):
            raise InvalidValue("photo", "image_not_public") from error
        why = InvalidValue("photo", "image_no_connection", cause=type(error).__name__)
        raise _Later(why, of_host=True) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise InvalidValue("photo", "image_url_bad") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = InvalidValue("photo", "image_no_answer", cause=type(error).__name__)
        raise _Later(why, of_host=True) from error
    raise InvalidValue("photo", "image_redirects", most=_MOST_REDIRECTS)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise InvalidValue("photo", "image_not_https", url=_shown(url))


def _failure(answer: aiohttp.ClientResponse) -> Exception:
    why = InvalidValue("photo", "image_status", status=answer.status)
    if answer.status not in _MAY_COME:
        return why
    after = answer.headers.get("Retry-After", "")
    after_s = min(float(after[:9]), _MOST_PAUSE_S) if after.isdecimal() else 0.0
    return _Later(why, after_s=after_s, of_host=answer.status == _TOO_MANY)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
        data += chunk
        if len(data) > MOST_BYTES:
            raise InvalidValue("photo", "photo_too_large", size_bytes=len(data), most_bytes=MOST_BYTES)
    return bytes(data)


def _etag_of(answer: aiohttp.ClientResponse) -> str | None:
    etag = answer.headers.get("ETag", "")
    return etag if etag.isascii() and 0 < len(etag) <= 255 else None


def _shown(url: str) -> str:
    """The URL without its query, which may be signed."""
    return printable(url.partition("?")[0])[:200]
