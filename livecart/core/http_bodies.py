"""Request bodies, bounded in bytes and in time: one rule for API, pages and viewers."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecart.core.http_replies import error

#: A room with a product list of its own, in JSON.
MOST_BYTES = 1024 * 1024
#: How long a body may take, over whatever network.
BODY_WITHIN_S = 30.0
_LENGTH_DIGITS = 15


class BodyRefused(Exception):
    """A body that is too long (413) or too slow (408)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check_length(headers: Headers, most_bytes: int) -> None:
    """Refuse a body by the length that it says."""
    said = headers.get("content-length", "0")
    if said.isascii() and said.isdigit() and (len(said) > _LENGTH_DIGITS or int(said) > most_bytes):
        raise _too_long(most_bytes)


async def read_body(request: Request, most_bytes: int, within_s: float = BODY_WITHIN_S) -> bytes:
    """The whole body.

    Raises:
        BodyRefused: it has more than `most_bytes`, or did not arrive in time.
    """
    check_length(request.headers, most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise _too_long(most_bytes)
    except TimeoutError:
        raise _too_slow(within_s) from None
    return bytes(body)


class BoundedBody:
    """Stands for `receive` and `send` of one ASGI request, and bounds its body."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        most_bytes: int,
        refuse: Callable[[BodyRefused], Message],
        within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._refuse = refuse
        self._within_s = within_s
        self._until_s = asyncio.get_running_loop().time() + within_s
        self._bytes = 0
        self._is_whole = False
        self._is_answered = False

    async def receive(self) -> Message:
        if self._is_whole:
            # What comes now is only that the client has gone.
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            return self._refused(_too_slow(self._within_s))
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._refused(_too_long(self._most_bytes)) if self._bytes > self._most_bytes else message

    async def send(self, message: Message) -> None:
        self._is_answered = True
        await self._send(message)

    def _refused(self, why: BodyRefused) -> Message:
        # After the answer a stream only waits for its client to go: such a one is not served any longer.
        return {"type": "http.disconnect"} if self._is_answered else self._refuse(why)


class BodyLimit:
    """ASGI middleware: 413 for longer bodies, 408 for slower ones. FastAPI reads a body before it asks who sent it."""

    def __init__(
        self, app: ASGIApp, own: Sequence[str] = (), most_bytes: int = MOST_BYTES, within_s: float = BODY_WITHIN_S
    ) -> None:
        self._app = app
        self._own = tuple(own)
        self._most_bytes = most_bytes
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._own):
            await self._app(scope, receive, send)
            return
        try:
            check_length(Headers(scope=scope), self._most_bytes)
        except BodyRefused as refused:
            await error(refused.status, "bad_request", str(refused))(scope, receive, send)
            return
        body = BoundedBody(
            receive, send, most_bytes=self._most_bytes, within_s=self._within_s, refuse=_raise_http_exception
        )
        await self._app(scope, body.receive, body.send)


def _raise_http_exception(why: BodyRefused) -> Message:
    # Whoever reads the body passes it on, and it is answered like any other. The rest of it is not waited for.
    raise HTTPException(why.status, str(why), {"Connection": "close"})


def _too_long(most_bytes: int) -> BodyRefused:
    return BodyRefused(413, f"the body has more than {most_bytes} bytes")


def _too_slow(within_s: float) -> BodyRefused:
    return BodyRefused(408, f"the body did not arrive within {within_s:g} s")
