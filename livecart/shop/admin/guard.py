"""Before any page: what every answer says to the browser, and requests that reach no page."""

import logging
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecart.core.http_bodies import BODY_WITHIN_S, BodyRefused, BoundedBody, check_length
from livecart.shop.errors import StoreUnavailable

_log = logging.getLogger(__name__)

#: A photo of 16 MiB and the form around it.
MOST_BODY_BYTES = 17 * 1024 * 1024
#: Of every page but the photos'.
MOST_FORM_BYTES = 1024 * 1024
UPLOADS = "/photos/add"
SESSION_COOKIE = "livecart_admin"
_SESSION = f"{SESSION_COOKIE}=".encode()
_HOST_PREFIX = b"__Host-"
_LATER = {"Retry-After": "5"}
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

    Requests that another site's page made the browser send are refused, and so are long and slow bodies.
    """

    def __init__(self, app: ASGIApp, within_s: float = BODY_WITHIN_S) -> None:
        self._app = app
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        # Forms are read before anybody is signed in: only photos may be large, of who is (`Site`).
        is_upload = scope["path"] == f"{scope.get('root_path', '')}{UPLOADS}"
        most_bytes = MOST_BODY_BYTES if is_upload else MOST_FORM_BYTES
        try:
            check_length(headers, most_bytes)
        except BodyRefused as refused:
            await PlainTextResponse(f"More than {most_bytes} bytes.", refused.status)(scope, receive, answer)
            return
        if scope["scheme"] == "https":
            scope = {**scope, "headers": [_without_prefix(*header) for header in scope["headers"]]}
        # The pages are an application of their own: routes are looked up in it, from where it is mounted.
        inner: MutableMapping[str, Any] = {
            **{name: value for name, value in scope.items() if name != "router"},
            "app_root_path": scope.get("root_path", ""),
            "state": {**scope.get("state", {}), "csp_nonce": nonce},
        }
        body = BoundedBody(receive, answer, most_bytes=most_bytes, within_s=self._within_s, refuse=_hang_up)
        await self._app(inner, body.receive, body.send)


class Outage:
    """Turns a database that does not answer, or a folder that cannot be used, into a page that says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            # Nobody may be there to read it.
            said = "表单太长、传输太慢，或连接中断。 The form is too long or too slow, or the connection ended."
            await PlainTextResponse(said, 413)(scope, receive, send)
        except StoreUnavailable as error:
            # Whoever sees the page may be a stranger: the driver's text names the database's user and host.
            _log.warning("admin: %s", error)
            said = "数据库暂时没有响应，请稍后再试。 The database does not answer now; try again in a moment."
            await PlainTextResponse(said, 503, _LATER)(scope, receive, send)
        except OSError as error:
            if has_begun:
                # Of the connection, or too late to be told.
                raise
            _log.error("admin: the catalog's folder cannot be used: %s", error)
            said = "服务器暂时无法读写商品文件，请稍后再试。 The catalog's files cannot be used now; try again."
            await PlainTextResponse(said, 503, _LATER)(scope, receive, send)


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
                message["headers"] = [_secured(*header) for header in message["headers"]]
        await self._send(message)


def _secured(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name == b"set-cookie" and b"; secure" not in value.lower():
        value += b"; secure"
    # No other host of the domain, nor a page of plain HTTP, can set a cookie of this prefix (RFC 6265bis).
    return name, _HOST_PREFIX + value if name == b"set-cookie" and value.startswith(_SESSION) else value


def _without_prefix(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A session without the prefix is anybody's, and left out."""
    if name != b"cookie":
        return name, value
    own = (part.strip() for part in value.split(b";"))
    return name, b"; ".join(part.removeprefix(_HOST_PREFIX) for part in own if not part.startswith(_SESSION))


def _hang_up(_: BodyRefused) -> Message:
    """A form that is too long or too slow ends as if the client had gone; `Outage` answers it."""
    return {"type": "http.disconnect"}
