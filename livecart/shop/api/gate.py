"""The gate before every operation: address, token, role, rate, size, concurrency; and one form for errors."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from livecart.core.http_bodies import BodyRefused, read_body
from livecart.core.rate_limits import TokenBuckets, network_of
from livecart.shop.api.access import Caller, TokenChecks, bearer
from livecart.shop.api.error_handlers import Refused, answer_to, slow_down
from livecart.shop.repositories.tokens import Role, TokenInfo
from livecart.shop.settings import ApiSettings

#: An operation's needs, as keys of its OpenAPI.
ROLE, MOST_BYTES = "x-role", "x-most-bytes"
#: A body beyond this is a large one.
_SMALL_BYTES = 1024 * 1024
_NO_TOKEN = "send Authorization: Bearer lc_…, a token of the catalog that is not expired or revoked"


@dataclass
class ApiStats:
    """Counted since the start. `refused` by code: denied, forbidden, rate_limited, too_large, busy, ..."""

    answered: int = 0
    replayed: int = 0
    failures: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class ConcurrencyLimiter:
    """Lets `at_once` work and `waiting` more wait, and refuses the rest."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the slots for as long as the block lasts."""
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
    """Of one router, in one event loop."""

    def __init__(self, checks: TokenChecks, settings: ApiSettings) -> None:
        self._checks = checks
        self._settings = settings
        self._addresses = TokenBuckets(settings.address_burst, settings.address_per_s)
        self._tokens = TokenBuckets(settings.token_burst, settings.token_per_s)
        self._working = ConcurrencyLimiter(settings.at_once, settings.waiting)
        self._large = ConcurrencyLimiter(settings.large_at_once, settings.large_waiting)

    @asynccontextmanager
    async def passed(self, request: Request, role: Role, most_bytes: int) -> AsyncIterator[Request]:
        """Let a request of that role and size in: with its whole body and `state.caller`, and a slot for the block."""
        self._slow_address(request)
        token = await self._token(request)
        if not token.may(role):
            raise Refused(403, "forbidden", f"this token's role is {token.role}; that needs {role}")
        wait_s = self._tokens.wait_s(str(token.id))
        if wait_s:
            raise slow_down("rate_limited", "too many requests with this token", wait_s)
        if most_bytes > _SMALL_BYTES:
            async with self._large.slot(), self._with_body(request, token, most_bytes) as whole:
                yield whole
        else:
            async with self._with_body(request, token, most_bytes) as whole:
                yield whole

    def _slow_address(self, request: Request) -> None:
        wait_s = self._addresses.wait_s(network_of(request.client.host if request.client else "unknown"))
        if wait_s:
            raise slow_down("rate_limited", "too many requests from this address", wait_s)

    async def _token(self, request: Request) -> TokenInfo:
        shown = bearer(request.headers.get("Authorization", ""))
        if shown is None:
            raise Refused(401, "denied", _NO_TOKEN, **{"WWW-Authenticate": "Bearer"})
        is_known, info = self._checks.known(shown)
        if not is_known:
            async with self._working.slot():
                info = await run_in_threadpool(self._checks.look_up, shown)
        if info is None:
            raise Refused(401, "denied", _NO_TOKEN, **{"WWW-Authenticate": "Bearer"})
        return info

    @asynccontextmanager
    async def _with_body(self, request: Request, token: TokenInfo, most_bytes: int) -> AsyncIterator[Request]:
        try:
            body = await read_body(request, most_bytes, self._settings.body_s)
        except BodyRefused as why:
            raise Refused(why.status, "too_large" if why.status == 413 else "too_slow", str(why)) from None
        whole = Request(request.scope, _Replay(request, body))
        whole.state.caller = Caller(token, request.headers.get("Idempotency-Key"), _fingerprint(request, body))
        async with self._working.slot():
            yield whole


def guarded(gate: Gate, stats: ApiStats) -> type[APIRoute]:
    """The route class of a router behind this gate. It is no dependency: those run when the body has been read."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            needs = self.openapi_extra or {}
            role, most_bytes = needs[ROLE], needs[MOST_BYTES]

            async def through_gate(request: Request) -> Response:
                try:
                    async with gate.passed(request, role, most_bytes) as whole:
                        response = await handle(whole)
                except Exception as fault:  # noqa: BLE001  every fault has an answer, ours are logged
                    code, response = answer_to(fault)
                    stats.refused[code] += 1
                    stats.failures += response.status_code == 500
                stats.answered += 1
                response.headers.setdefault("Cache-Control", "no-store")
                response.headers["X-Content-Type-Options"] = "nosniff"
                return response

            return through_gate

    return GuardedRoute


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
