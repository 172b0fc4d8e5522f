"""The one place that talks to the recogniser: a frame out as JPEG, detections back. Contract: docs/http.md."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from contract.images import kind_of
from contract.reply import Reply
from livecart.core.errors import RecognizerBusy, RecognizerError
from livecart.core.types import Detections, Frame
from livecart.live.outcomes import FrameMetrics
from livecart.live.recognise.reply import count_ready_workers, decode, described_catalog, detections_of
from livecart.live.recognise.settings import RecognizerSettings

_log = logging.getLogger(__name__)

_READ_CHUNK_BYTES = 64 * 1024
#: A grey square, so small that the archive looks for no product in it: an answer costs one pass of the classifier.
_TINY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAD0lEQVR42mNoQAMMI1sAAAUMgAHjM1mKAAAAAElFTkSuQmCC"
)


class RecognizerClient:
    """Asks the archive about frames. Use as an async context manager, in one event loop.

    Args:
        settings: Where and how.
        product_list: The id of a room's own product list (`X-Room`, 1 to 128 printable characters), or None for the
            products of all rooms.
        metrics: Gets durations of encoding and requests, and products dropped for their links.
    """

    def __init__(
        self,
        settings: RecognizerSettings,
        *,
        metrics: FrameMetrics,
        product_list: Callable[[str], str | None] = lambda _room: None,
    ) -> None:
        self.settings = settings
        self._product_list = product_list
        self._metrics = metrics
        self._predictions = URL(settings.base_url) / "predictions" / settings.model
        self._session: aiohttp.ClientSession | None = None
        self._encoders: ThreadPoolExecutor | None = None
        self._warned: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        headers = {"Accept-Encoding": "identity"}
        if self.settings.token is not None:
            headers["Authorization"] = f"Bearer {self.settings.token}"
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout_s, sock_connect=self.settings.connect_timeout_s)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=timeout,
            # The dispatcher bounds what is in flight; a second bound here would only hide waiting.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._encoders = ThreadPoolExecutor(self.settings.encode_threads, thread_name_prefix="livecart-jpeg")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, encoders = self._session, self._encoders
        self._session = self._encoders = None
        if session is not None:
            await session.close()
        if encoders is not None:
            # One JPEG is a matter of milliseconds, and a thread must not outlive its client.
            await asyncio.to_thread(encoders.shutdown, wait=True, cancel_futures=True)

    async def recognize(self, frame: Frame) -> Detections:
        """The products that the recogniser sees in `frame`, boxes in the frame's own pixels.

        Raises:
            RecognizerBusy: It did not answer now: queue full, restarting, not reachable, too slow.
            RecognizerError: It refused the frame, failed on it, or answered what schema 1 does not know.
        """
        jpeg, scale = await self._encode(frame)
        started = time.monotonic()
        try:
            status, body = await self._send("POST", self._predictions, data=jpeg, headers=self._headers(frame, scale))
        finally:
            self._metrics.stage("request", time.monotonic() - started)
        reply = decode(status, body, str(self._predictions))
        picture = frame.picture
        detections, unsafe = detections_of(
            reply, width_px=picture.width_px, height_px=picture.height_px, scale=scale, frame=frame
        )
        for sku in unsafe:
            self._report_unsafe(frame.room, sku)
        return detections

    async def ask(
        self,
        image: bytes,
        *,
        product_list: str | None = None,
        threshold: float | None = None,
        text: str | None = None,
        top_k: int | None = None,
    ) -> Reply:
        """The reply to an encoded picture: for checks, not for frames. Options as in docs/http.md.

        Raises:
            RecognizerBusy, RecognizerError: as for `recognize`.
        """
        options = {"X-Room": product_list, "X-Threshold": threshold, "X-Text": text, "X-Top-K": top_k}
        headers = {"Content-Type": f"image/{(kind_of(image) or 'JPEG').lower()}"}
        headers |= {name: str(value) for name, value in options.items() if value is not None}
        status, body = await self._send("POST", self._predictions, data=image, headers=headers)
        return decode(status, body, str(self._predictions))

    async def served_catalog(self) -> str | None:
        """The id of the catalog that it answers with now, and the revision of its offers; None: it has no catalog.

        Raises:
            RecognizerBusy, RecognizerError: as for `recognize`.
        """
        headers = {"describe": "True", "Content-Type": "application/json"}
        status, body = await self._send("POST", self._predictions, data=b"{}", headers=headers)
        return described_catalog(status, body, str(self._predictions))

    async def ready_workers(self) -> int | None:
        """Workers of the model that are READY; None: there is no management address, or it does not tell."""
        if self.settings.management_url is None:
            return None
        url = URL(self.settings.management_url) / "models" / self.settings.model
        try:
            status, body = await self._send("GET", url)
        except RecognizerError as error:
            _log.debug("the workers cannot be counted: %s", error)
            return None
        return count_ready_workers(body) if status == 200 else None

    async def ready(self) -> bool:
        """True where a frame sent now would be answered. Never raises for a server that is down or wrong.

        With a management address a worker of the model has to be READY there, without one a tiny picture has to be
        answered (TorchServe's `/ping` says it is well while models still load).
        """
        if self.settings.management_url is not None:
            return bool(await self.ready_workers())
        try:
            await self.ask(_TINY_PNG, text="never")
        except RecognizerError as error:
            _log.debug("not ready: %s", error)
            return False
        return True

    async def _encode(self, frame: Frame) -> tuple[bytes, float]:
        started = time.monotonic()
        encoded = await asyncio.get_running_loop().run_in_executor(
            self._encoders, frame.picture.jpeg, self.settings.longest_side_px
        )
        self._metrics.stage("encode", time.monotonic() - started)
        return encoded

    def _headers(self, frame: Frame, scale: float) -> dict[str, str]:
        headers = {"Content-Type": "image/jpeg", "X-Top-K": "0"}
        if frame.roi_xyxy_px is not None:
            headers["X-Roi"] = ",".join(f"{side * scale:.1f}" for side in frame.roi_xyxy_px)
        if frame.mirror is not None:
            headers["X-Mirror"] = "true" if frame.mirror else "false"
        product_list = self._product_list(frame.room)
        if product_list is not None:
            if not (1 <= len(product_list) <= 128 and product_list.isprintable()):
                raise RecognizerError(
                    f"the product list of room {frame.room} is called {product_list!r}; "
                    "it must be 1 to 128 printable characters"
                )
            headers["X-Room"] = product_list
        if self.settings.ask_from is not None:
            headers["X-Threshold"] = str(self.settings.ask_from)
        if self.settings.text is not None:
            headers["X-Text"] = self.settings.text
        return headers

    async def _send(self, method: str, url: URL, **options: Any) -> tuple[int, bytes]:
        """Status and body of one request.

        Raises:
            RecognizerBusy: No whole answer came.
            RecognizerError: The answer is too long, or the address cannot be asked at all.
        """
        if self._session is None:
            raise RuntimeError("RecognizerClient is used outside its `async with` block")
        try:
            async with self._session.request(method, url, allow_redirects=False, **options) as answer:
                return answer.status, await self._read(answer)
        except TimeoutError as error:
            raise RecognizerBusy(f"{url} did not answer within {self.settings.timeout_s} s") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise RecognizerBusy(f"{url} cannot be reached, or closed the connection: {error}") from error
        except aiohttp.ClientError as error:
            raise RecognizerError(f"{url} does not answer as an HTTP server should: {error}") from error

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        limit = self.settings.max_reply_bytes
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_READ_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise RecognizerError(f"{answer.url} answered with more than {limit} bytes; is it the recogniser?")
        return bytes(body)

    def _report_unsafe(self, room: str, sku: str) -> None:
        self._metrics.incident(room, "link_not_https")
        # Once a product: the catalog stays wrong for hours, and the counter tells how often.
        if (room, sku) not in self._warned and len(self._warned) < 1000:
            self._warned.add((room, sku))
            _log.warning("room %s: product %s is left out, its link is not https; correct it in the catalog", room, sku)
