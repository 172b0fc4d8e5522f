"""No body is longer than so many bytes: FastAPI reads a body whole before it asks who sent it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecart.web.replies import error

#: A room with a product list of its own, in JSON.
MOST_BYTES = 1024 * 1024
_LENGTH_DIGITS = 16


class BodyLimit:
    """ASGI middleware: 413 for what is longer.

    Args:
        app: what is asked for the rest.
        own: how paths begin that have limits of their own.
        most_bytes: of one body.
    """

    def __init__(self, app: ASGIApp, own: Sequence[str] = (), most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._own = tuple(own)
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(self._own):
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if said.isascii() and said.isdigit() and (len(said) >= _LENGTH_DIGITS or int(said) > self._most_bytes):
            await error(413, "bad_request", self._refusal)(scope, receive, send)
            return
        size, is_answered = 0, False

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most_bytes:
                if is_answered:
                    # A stream only waits for its client to go: such a one is not served any longer.
                    return {"type": "http.disconnect"}
                # Whoever reads the body passes it on, and it is answered like any other.
                raise HTTPException(413, self._refusal)
            return message

        async def answering(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._app(scope, bounded, answering)

    @property
    def _refusal(self) -> str:
        return f"the body has more than {self._most_bytes} bytes"
