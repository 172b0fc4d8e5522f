"""The one place that talks to the recogniser: a frame out as JPEG, a look back. Contract: docs/http.md."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from livecart.errors import RecognizerBusy, RecognizerError, SettingsError
from livecart.pipeline.archive_reply import Reply, candidates, decode_error, decode_reply, text_lines
from livecart.pipeline.meter import Meter, Tally
from livecart.pipeline.recognizer_probe import TINY_PNG, has_ready_worker
from livecart.types import Frame, Look

_log = logging.getLogger(__name__)

#: TorchServe: 503 queue full or no worker ready, 507 worker went down, 429/502/504 a proxy in front of it.
_BUSY_STATUS = frozenset({408, 429, 502, 503, 504, 507})
#: TorchServe's 500 when the worker that held the request died; any other 500 is the archive's own fault.
_WORKER_DIED = "Worker died"
_READ_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerSettings:
    """How to reach the recogniser.

    Attributes:
        base_url: Its inference address, http or https, such as `http://127.0.0.1:8080`.
        model: The name it serves the archive under.
        management_url: TorchServe's management address, asked by `ready`; None: `ready` sends a tiny picture instead.
        token: Sent as a bearer token with every request; None: none.
        timeout_s: For one whole request, above 0.
        connect_timeout_s: Of that, for connecting, above 0.
        longest_side_px: Frames are scaled down to this before they are sent; 64 or more. 960 keeps a package's print
            legible where it fills a third of the picture, at a third of the bytes of 1280.
        ask_from: Products are asked for from this confidence on, 0 to 1, and several unsure looks that agree may
            announce what one of them could not (decision/vote.py); within the bounds of the archive's
            `thresholds`. None: only what the archive shows by itself.
        text: When packaging is read: `auto`, `always`, `never`; None: as the archive is set up.
        max_reply_bytes: Longer replies are an error.
        encode_threads: Threads that make JPEGs, 1 or more.
    """

    base_url: str
    model: str = "product_recognizer"
    management_url: str | None = None
    token: str | None = None
    timeout_s: float = 3.0
    connect_timeout_s: float = 1.0
    longest_side_px: int = 960
    ask_from: float | None = 0.5
    text: str | None = None
    max_reply_bytes: int = 1 << 20
    encode_threads: int = 2

    def __post_init__(self) -> None:
        for key in ("base_url", "management_url"):
            _check_url(key, getattr(self, key))
        for key, least in (("longest_side_px", 64), ("max_reply_bytes", 1), ("encode_threads", 1)):
            if getattr(self, key) < least:
                raise SettingsError(f"recognizer {key} is {getattr(self, key)}; it must be {least} or more")
        for key in ("timeout_s", "connect_timeout_s"):
            if not getattr(self, key) > 0:
                raise SettingsError(f"recognizer {key} is {getattr(self, key)}; it must be above 0 seconds")
        if self.ask_from is not None and not 0 <= self.ask_from <= 1:
            raise SettingsError(f"recognizer ask_from is {self.ask_from}; it must be from 0 to 1")
        if self.text not in {None, "auto", "always", "never"}:
            raise SettingsError(f"recognizer text is {self.text!r}; it must be auto, always or never")
        if not self.model or "/" in self.model:
            raise SettingsError(f"recognizer model is {self.model!r}; it must be the name of a served model")


class RecognizerClient:
    """Asks the archive about frames. Use as an async context manager, in one event loop.

    Args:
        settings: Where and how.
        product_list: The id of a room's own product list (`X-Room`, 1 to 128 printable characters), or None for the
            products of all rooms.
        meter: Told how long encoding and requests take, and of products dropped for their links.
    """

    def __init__(
        self,
        settings: RecognizerSettings,
        *,
        product_list: Callable[[str], str | None] = lambda _room: None,
        meter: Meter | None = None,
    ) -> None:
        self.settings = settings
        self._product_list = product_list
        self._meter = meter if meter is not None else Tally()
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

    async def recognize(self, frame: Frame) -> Look:
        """What the recogniser sees in `frame`, boxes in the frame's own pixels.

        Raises:
            RecognizerBusy: It did not answer now: queue full, restarting, not reachable, too slow.
            RecognizerError: It refused the frame, failed on it, or answered what schema 1 does not know.
        """
        jpeg, scale = await self._encode(frame)
        started = time.monotonic()
        try:
            status, body = await self._send("POST", self._predictions, data=jpeg, headers=self._headers(frame, scale))
        finally:
            self._meter.stage("request", time.monotonic() - started)
        if status != 200:
            raise self._refusal(status, body)
        reply = decode_reply(body)
        width_px, height_px = frame.picture.width_px, frame.picture.height_px
        found, unsafe = candidates(reply, width_px=width_px, height_px=height_px, scale=scale)
        for sku in unsafe:
            self._report_unsafe(frame.room, sku)
        return Look(
            room=frame.room,
            pts_s=frame.pts_s,
            captured_at_s=frame.captured_at_s,
            frame_width_px=width_px,
            frame_height_px=height_px,
            candidates=tuple(found),
            stage_seconds={stage: ms / 1000 for stage, ms in reply.timing_ms.items()},
            batch=reply.batch,
            texts=text_lines(reply, width_px=width_px, height_px=height_px),
            picture=frame.picture,
        )

    async def ask(
        self,
        image: bytes,
        content_type: str,
        *,
        product_list: str | None = None,
        threshold: float | None = None,
        text: str | None = None,
        top_k: int | None = None,
    ) -> Reply:
        """What the recogniser answers to an encoded picture: for checks, not for frames. Options as in docs/http.md.

        Raises:
            RecognizerBusy, RecognizerError: as for `recognize`.
        """
        options = {"X-Room": product_list, "X-Threshold": threshold, "X-Text": text, "X-Top-K": top_k}
        headers = {"Content-Type": content_type}
        headers |= {name: str(value) for name, value in options.items() if value is not None}
        status, body = await self._send("POST", self._predictions, data=image, headers=headers)
        if status != 200:
            raise self._refusal(status, body)
        return decode_reply(body)

    async def served_catalog(self) -> str | None:
        """The id of the catalog that it answers with now, asked with a tiny picture; None: it has none.

        Raises:
            RecognizerBusy, RecognizerError: as for `recognize`.
        """
        return (await self.ask(TINY_PNG, "image/png", text="never")).model.catalog

    async def ready(self) -> bool:
        """Whether a frame sent now would be answered. Never raises for a server that is down or wrong.

        With a management address: whether a worker of the model is READY there. Without: whether a tiny picture is
        answered (TorchServe's `/ping` says it is well while models still load).
        """
        try:
            if self.settings.management_url is not None:
                url = URL(self.settings.management_url) / "models" / self.settings.model
                status, body = await self._send("GET", url)
                return status == 200 and has_ready_worker(body)
            headers = {"Content-Type": "image/png", "X-Text": "never"}
            status, _ = await self._send("POST", self._predictions, data=TINY_PNG, headers=headers)
        except RecognizerError as error:
            _log.debug("not ready: %s", error)
            return False
        return status == 200

    async def _encode(self, frame: Frame) -> tuple[bytes, float]:
        started = time.monotonic()
        encoded = await asyncio.get_running_loop().run_in_executor(
            self._encoders, frame.picture.jpeg, self.settings.longest_side_px
        )
        self._meter.stage("encode", time.monotonic() - started)
        return encoded

    def _headers(self, frame: Frame, scale: float) -> dict[str, str]:
        headers = {"Content-Type": "image/jpeg"}
        if frame.focus_xyxy_px is not None:
            headers["X-Focus"] = ",".join(f"{side * scale:.1f}" for side in frame.focus_xyxy_px)
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

    def _refusal(self, status: int, body: bytes) -> RecognizerError:
        code, message = decode_error(body)
        said = " ".join(part for part in (str(status), code, message) if part)
        if status in _BUSY_STATUS or (status == 500 and _WORKER_DIED in message):
            return RecognizerBusy(f"the recogniser is busy or restarting: {said}")
        where = str(self._predictions)
        if 300 <= status < 400:
            return RecognizerError(f"{where} redirects ({status}), which is not followed: set the address it leads to")
        if status == 404:
            return RecognizerError(f"{where} is not served: {said}; is the model registered under this name?")
        if status in {401, 403}:
            return RecognizerError(f"{where} wants another token: {said}")
        return RecognizerError(f"the recogniser refused the frame: {said}")

    def _report_unsafe(self, room: str, sku: str) -> None:
        self._meter.incident(room, "link_not_https")
        # Once a product: the catalog stays wrong for hours, and the counter tells how often.
        if (room, sku) not in self._warned and len(self._warned) < 1000:
            self._warned.add((room, sku))
            _log.warning("room %s: product %s is left out, its link is not https; correct it in the catalog", room, sku)


def _check_url(key: str, value: str | None) -> None:
    if value is None and key != "base_url":
        return
    try:
        url = URL(value or "")
        good = url.scheme in {"http", "https"} and bool(url.host) and not url.query_string and not url.fragment
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"recognizer {key} is {value!r}; it must look like http://127.0.0.1:8080")
