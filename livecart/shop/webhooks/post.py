"""One signed POST to somebody's server, which is believed nothing: no redirect, no cookie, a bounded answer in time."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType

import aiohttp
from standardwebhooks import Webhook

from livecart.core.printable import printable
from livecart.core.public_address import ThreadedNames, public_socket
from livecart.shop.repositories.webhooks import is_internal
from livecart.shop.webhooks.outbox import Answer

_ANSWER_BYTES = 4_096
_SHOWN_CHARS = 200
_KEEP_ALIVE_S = 30.0


class Poster:
    """Posts to public addresses by https, and to `internal_hosts`. To be used in one event loop, as a context."""

    def __init__(self, internal_hosts: Sequence[str] = (), *, now_s: Callable[[], float] = time.time) -> None:
        self._internal_hosts = internal_hosts
        self._now_s = now_s
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "Poster":
        names = ThreadedNames()
        self._open.push_async_callback(names.close)
        self._public = await self._session(
            aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S, resolver=names, socket_factory=public_socket)
        )
        self._internal = await self._session(
            aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S, resolver=names)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return await self._open.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        )

    async def post(self, url: str, *, message_id: str, body: str, secrets: Sequence[str], timeout_s: float) -> Answer:
        """Post a message, signed now with each of the secrets; never raises for what the other side does."""
        session = self._internal if is_internal(url, self._internal_hosts) else self._public
        headers = signed_headers(message_id, body, secrets, self._now_s())
        try:
            async with (
                asyncio.timeout(timeout_s),
                session.post(url, data=body.encode(), headers=headers, allow_redirects=False) as answer,
            ):
                text = await _read(answer)
                return _judged(answer, text)
        except TimeoutError:
            return Answer(0, f"no answer within {timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, printable(str(error) or type(error).__name__)[:_SHOWN_CHARS])


def signed_headers(message_id: str, body: str, secrets: Sequence[str], at_s: float) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0, with a signature of each secret; `at_s` is UNIX time."""
    at = datetime.fromtimestamp(int(at_s), UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at_s)),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets),
        "Content-Type": "application/json",
        "User-Agent": "livecart-webhooks",
    }


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of the answer's body; what goes on behind it costs the connection."""
    text = b""
    while len(text) < _ANSWER_BYTES and (piece := await answer.content.read(_ANSWER_BYTES - len(text))):
        text += piece
    if not answer.content.at_eof():
        answer.close()
    return text


def _judged(answer: aiohttp.ClientResponse, text: bytes) -> Answer:
    if 200 <= answer.status < 300:
        return Answer(answer.status, "")
    said = printable(text.decode("utf-8", "replace"))[:_SHOWN_CHARS]
    after = answer.headers.get("Retry-After", "")
    retry_after_s = float(after[:9]) if after.isdecimal() else 0.0
    return Answer(answer.status, f"status {answer.status}: {said}".rstrip(": "), retry_after_s)
