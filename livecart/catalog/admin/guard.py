"""Before any page: what every answer says to the browser, and requests that reach no page."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecart.errors import StoreUnavailable

#: A photo of 16 MiB and the form around it.
MOST_BODY_BYTES = 17 * 1024 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
#: Style attributes are set by the library's scripts and pages; they can load nothing but from here.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Guard:
    """Wraps the pages, mounted wherever: their links are made for the place where they are.

    Requests that another site's page made the browser send are refused, and so are long bodies.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        nonce = secrets.token_urlsafe(16)
        static = scope["path"].startswith(f"{scope.get('root_path', '')}/static/")
        answer = _Answer(send, nonce, secure=scope["scheme"] == "https", static=static)
        if scope["method"] not in _SAFE and headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            await PlainTextResponse("Another site's page sent this.", 403)(scope, receive, answer)
            return
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            await PlainTextResponse(f"More than {MOST_BODY_BYTES} bytes.", 413)(scope, receive, answer)
            return
        # The pages are an application of their own: routes are looked up in it, from where it is mounted.
        inner: MutableMapping[str, Any] = {
            **{name: value for name, value in scope.items() if name != "router"},
            "app_root_path": scope.get("root_path", ""),
            "state": {**scope.get("state", {}), "csp_nonce": nonce},
        }
        await self._app(inner, _Bounded(receive), answer)


class Outage:
    """Turns a database that does not answer into a page that says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._app(scope, receive, send)
        except StoreUnavailable as error:
            text = (
                f"数据库暂时没有响应，请稍后再试。 The database does not answer now; try again in a moment.\n\n{error}"
            )
            await PlainTextResponse(text, 503, {"Retry-After": "5"})(scope, receive, send)


class _Answer:
    def __init__(self, send: Send, nonce: str, *, secure: bool, static: bool) -> None:
        self._send = send
        self._nonce = nonce
        self._secure = secure
        self._static = static

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=self._nonce))
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            headers["Referrer-Policy"] = "same-origin"
            headers.setdefault("Cache-Control", "public, max-age=3600" if self._static else "no-store")
            if self._secure:
                message["headers"] = [
                    (name, value + b"; secure" if name == b"set-cookie" and b"; secure" not in value.lower() else value)
                    for name, value in message["headers"]
                ]
        await self._send(message)


class _Bounded:
    """Ends a body that is longer than it said, as if the client had gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > MOST_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message
