"""What a request passes before anything is done for it: address, token, role, rate, size, a place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from livecart.catalog.api.access import Caller, TokenChecks, address_key, bearer
from livecart.catalog.api.faults import Refused, slow_down
from livecart.catalog.api_settings import ApiSettings
from livecart.catalog.records.tokens import Role, TokenInfo
from livecart.rate_limits import TokenBuckets

#: A body beyond this is a large one.
_SMALL_BYTES = 1024 * 1024
_NO_TOKEN = "send Authorization: Bearer lc_…, a token of the catalog that is not expired or revoked"


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation asks for."""

    role: Role
    most_bytes: int


class Places:
    """So many at once; so many more wait, and the rest is sent away."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place, for as long as the block lasts.

        Raises:
            Refused: too many wait already.
        """
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise slow_down("busy", "too many requests are being worked at; try again in a moment", 1, status=503)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class Gate:
    """One of a router, in one event loop."""

    def __init__(self, checks: TokenChecks, settings: ApiSettings) -> None:
        self._checks = checks
        self._settings = settings
        self._addresses = TokenBuckets(settings.address_burst, settings.address_per_s)
        self._tokens = TokenBuckets(settings.token_burst, settings.token_per_s)
        self._places = Places(settings.at_once, settings.waiting)
        self._large = Places(settings.large_at_once, settings.large_waiting)

    @asynccontextmanager
    async def passed(self, request: Request, needs: Needs) -> AsyncIterator[Request]:
        """The request with its whole body and its `state.caller`, and a place for it while the block lasts.

        Raises:
            Refused: why it goes no further.
            StoreUnavailable: the token cannot be looked up now.
        """
        self._slow_address(request)
        token = await self._token(request)
        if not token.may(needs.role):
            raise Refused(403, "forbidden", f"this token's role is {token.role}; that needs {needs.role}")
        wait_s = self._tokens.wait_s(str(token.id))
        if wait_s:
            raise slow_down("rate_limited", "too many requests with this token", wait_s)
        if needs.most_bytes > _SMALL_BYTES:
            async with self._large.one(), self._with_body(request, token, needs.most_bytes) as whole:
                yield whole
        else:
            async with self._with_body(request, token, needs.most_bytes) as whole:
                yield whole

    def _slow_address(self, request: Request) -> None:
        wait_s = self._addresses.wait_s(address_key(request.client.host if request.client else "unknown"))
        if wait_s:
            raise slow_down("rate_limited", "too many requests from this address", wait_s)

    async def _token(self, request: Request) -> TokenInfo:
        shown = bearer(request.headers.get("Authorization", ""))
        if shown is None:
            raise Refused(401, "denied", _NO_TOKEN, **{"WWW-Authenticate": "Bearer"})
        is_known, info = self._checks.known(shown)
        if not is_known:
            async with self._places.one():
                info = await run_in_threadpool(self._checks.look_up, shown)
        if info is None:
            raise Refused(401, "denied", _NO_TOKEN, **{"WWW-Authenticate": "Bearer"})
        return info

    @asynccontextmanager
    async def _with_body(self, request: Request, token: TokenInfo, most_bytes: int) -> AsyncIterator[Request]:
        try:
            async with asyncio.timeout(self._settings.body_s):
                body = await read_body(request, most_bytes)
        except TimeoutError:
            raise Refused(408, "too_slow", f"the body did not arrive within {self._settings.body_s:g} s") from None
        whole = Request(request.scope, _Replay(request, body))
        whole.state.caller = Caller(token, request.headers.get("Idempotency-Key"), _fingerprint(request, body))
        async with self._places.one():
            yield whole


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body, if it has no more than so many bytes.

    Raises:
        Refused: it has more.
    """
    too_large = Refused(413, "too_large", f"the body has more than {most_bytes} bytes")
    said = request.headers.get("Content-Length", "")
    if said.isascii() and said.isdigit() and (len(said) > 15 or int(said) > most_bytes):
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


class _Replay:
    """`receive` of a request whose body is here already."""

    def __init__(self, request: Request, body: bytes) -> None:
        self._request = request
        self._body: bytes | None = body

    async def __call__(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._request.receive()


def _fingerprint(request: Request, body: bytes) -> bytes:
    boundary = request.headers.get("Content-Type", "").partition("boundary=")[2].strip('"').encode("latin-1")
    if boundary:
        # Clients make up a new one each time: the form is the same all the same.
        body = body.replace(boundary, b"")
    head = "\n".join([request.method, request.url.path, request.url.query, request.headers.get("If-Match", ""), ""])
    return head.encode("utf-8", "surrogatepass") + body
