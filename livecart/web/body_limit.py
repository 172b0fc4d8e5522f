"""No body is longer than so many bytes, or takes longer: FastAPI reads a body whole before it asks who sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecart.web.replies import error

#: A room with a product list of its own, in JSON.
MOST_BYTES = 1024 * 1024
_LENGTH_DIGITS = 16
#: How long a body may take, over whatever network.
_WITHIN_S = 30.0


class BodyLimit:
    """ASGI middleware: 413 for what is longer, 408 for what takes longer.

    Args:
        app: what is asked for the rest.
        own: how paths begin that have limits of their own.
        most_bytes: of one body.
        within_s: how long one may take.
    """

    def __init__(
        self, app: ASGIApp, own: Sequence[str] = (), most_bytes: int = MOST_BYTES, within_s: float = _WITHIN_S
    ) -> None:
        self._app = app
        self._own = tuple(own)
        self._most_bytes = most_bytes
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(self._own):
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if said.isascii() and said.isdigit() and (len(said) >= _LENGTH_DIGITS or int(said) > self._most_bytes):
            await error(413, "bad_request", _too_long(self._most_bytes))(scope, receive, send)
            return
        body = _Body(receive, send, self._most_bytes, self._within_s)
        await self._app(scope, body.receive, body.send)


class _Body:
    """One request's body on its way to the application."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int, within_s: float) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._until_s = asyncio.get_running_loop().time() + within_s
        self._size = 0
        self._is_whole = False
        self._is_answered = False

    async def receive(self) -> Message:
        """See ASGI."""
        if self._is_whole:
            # What comes now is only that the client has gone.
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408, "the body did not come in time")
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._refuse(413, _too_long(self._most_bytes)) if self._size > self._most_bytes else message

    async def send(self, message: Message) -> None:
        """See ASGI."""
        self._is_answered = True
        await self._send(message)

    def _refuse(self, status: int, why: str) -> Message:
        if self._is_answered:
            # A stream only waits for its client to go: such a one is not served any longer.
            return {"type": "http.disconnect"}
        # Whoever reads the body passes it on, and it is answered like any other. The rest of it is not waited for.
        raise HTTPException(status, why, {"Connection": "close"})


def _too_long(most_bytes: int) -> str:
    return f"the body has more than {most_bytes} bytes"
