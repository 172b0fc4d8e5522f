"""Pictures that products name by URL, fetched and kept as photos: two at a time of a host, from public addresses alone.

A picture that does not come never holds up another, nor its feed.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin, urlsplit

import aiohttp

from livecart.core.background import Backoff
from livecart.core.printable import printable
from livecart.core.public_address import AddressNotPublic, public_socket
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError, InvalidValue, StoreUnavailable
from livecart.shop.repositories import image_fetches
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.image_fetches import Due
from livecart.shop.repositories.photo_check import MOST_BYTES, check_photo

_log = logging.getLogger(__name__)
_WHO = "images"
_AT_ONCE, _AT_ONCE_PER_HOST = 8, 2
_BATCH = 64
_LOOK_EVERY_S = 5.0
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=10.0, sock_read=20.0)
_CHUNK_BYTES = 64 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Statuses behind which a picture may come yet (RFC 9110).
_MAY_COME = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_PAUSE_S = 86_400.0


@dataclass
class ImageStats:
    """Counted since the start. `crashes` are faults of ours."""

    kept: int = 0
    unchanged: int = 0
    refused: int = 0
    retried: int = 0
    crashes: int = 0


class _Refused(Exception):
    """It did not come, or is none. `may_come`: later it might."""

    def __init__(self, reason: str, *, may_come: bool = False, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.may_come = may_come
        self.after_s = after_s


def public_connector() -> aiohttp.TCPConnector:
    """Connects to public addresses, each looked up once."""
    return aiohttp.TCPConnector(limit=_AT_ONCE, limit_per_host=_AT_ONCE_PER_HOST, socket_factory=public_socket)


class ImageFetcher:
    """Fetches what is due. Several processes may; each takes other pictures."""

    def __init__(
        self,
        store: Store,
        blobs: BlobFolder,
        *,
        connector: Callable[[], aiohttp.BaseConnector] = public_connector,
        stats: ImageStats | None = None,
    ) -> None:
        """Opens no connection."""
        self.stats = stats or ImageStats()
        self._store = store
        self._blobs = blobs
        self._connector = connector

    async def run(self) -> None:
        """Fetch, for ever."""
        backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
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
        """Fetch up to 64 pictures that are due, and drop what feeds name no more; how many were tried."""
        edit = self._store.edit
        due = await asyncio.to_thread(edit, _WHO, partial(image_fetches.take, limit=_BATCH))
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
                    host = hosts.setdefault(_host(each.url), asyncio.Semaphore(_AT_ONCE_PER_HOST))
                    fetches.append(self._fetch(session, each, host, at_once))
                results = await asyncio.gather(*fetches, return_exceptions=True)
            for failure in filter(None, results):
                raise failure
        await asyncio.to_thread(edit, _WHO, image_fetches.drop_replaced)
        return len(due)

    async def _fetch(
        self, session: aiohttp.ClientSession, due: Due, host: asyncio.Semaphore, at_once: asyncio.Semaphore
    ) -> None:
        edit = self._store.edit
        try:
            async with host, at_once:
                found = await _get(session, due)
                if found is None:
                    self.stats.unchanged += 1
                    await asyncio.to_thread(edit, _WHO, partial(image_fetches.unchanged, due=due))
                    return
                data, etag = found
                photo = await asyncio.to_thread(check_photo, data)
            keep = partial(image_fetches.keep, blobs=self._blobs, due=due, data=photo.data, etag=etag)
            await asyncio.to_thread(edit, _WHO, keep)
            self.stats.kept += 1
        except StoreUnavailable:
            raise
        except (_Refused, InvalidValue) as error:
            await self._refuse(due, error)
        except CatalogError as error:
            await self._refuse(due, _Refused(str(error), may_come=True))
        except Exception as error:  # noqa: BLE001  whatever one picture does, the others come
            self.stats.crashes += 1
            _log.exception("the picture %s of %s", _shown(due.url), due.sku)
            await self._refuse(due, _Refused(f"unexpected {type(error).__name__}", may_come=True))

    async def _refuse(self, due: Due, error: _Refused | InvalidValue) -> None:
        may_come = isinstance(error, _Refused) and error.may_come
        after_s = error.after_s if isinstance(error, _Refused) else 0.0
        if may_come:
            self.stats.retried += 1
        else:
            self.stats.refused += 1
            _log.warning("the picture %s of %s is refused: %s", _shown(due.url), due.sku, error)
        work = partial(image_fetches.refuse, due=due, reason=printable(str(error)), may_come=may_come, after_s=after_s)
        await asyncio.to_thread(self._store.edit, _WHO, work)


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
                    raise _failed(answer)
                return await _read(answer), _etag_of(answer)
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, AddressNotPublic):
            raise _Refused("its address is not public") from error
        raise _Refused(f"no connection: {type(error).__name__}", may_come=True) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise _Refused("no URL of a picture") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _Refused(f"no answer: {type(error).__name__}", may_come=True) from error
    raise _Refused(f"more than {_MOST_REDIRECTS} redirects")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise _Refused(f"{_shown(url)} is no https address")


def _failed(answer: aiohttp.ClientResponse) -> _Refused:
    after = answer.headers.get("Retry-After", "")
    after_s = min(float(after[:9]), _MOST_PAUSE_S) if after.isdecimal() else 0.0
    return _Refused(f"status {answer.status}", may_come=answer.status in _MAY_COME, after_s=after_s)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
        data += chunk
        if len(data) > MOST_BYTES:
            raise _Refused(f"more than {MOST_BYTES // 2**20} MiB")
    return bytes(data)


def _etag_of(answer: aiohttp.ClientResponse) -> str | None:
    etag = answer.headers.get("ETag", "")
    return etag if etag.isascii() and 0 < len(etag) <= 255 else None


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def _shown(url: str) -> str:
    """The URL without its query, which may be signed."""
    return printable(url.partition("?")[0])[:200]
