"""Parts that operations share: their errors, parameters, and one transaction for each Idempotency-Key."""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import msgspec
from fastapi import Depends, Header, Path, Query, Request, Response
from sqlalchemy.orm import Session

from livecart.shop.api.access import Caller
from livecart.shop.api.error_handlers import Refused
from livecart.shop.api.gate import MOST_BYTES, ROLE, ApiStats
from livecart.shop.database.store import Store
from livecart.shop.errors import Conflict
from livecart.shop.repositories import idempotency
from livecart.shop.repositories.idempotency import Answered
from livecart.shop.repositories.tokens import Role

#: What JavaScript counts exactly; every database's BIGINT holds it.
HIGHEST_ID = 2**53 - 1
KIB, MIB = 1024, 1024 * 1024
R = TypeVar("R", bound=Response)
_VERSION = re.compile(r'"?(\d{1,15})"?')

_ERRORS = {
    400: "`bad_request`: the body is no JSON, no UTF-8, no form",
    401: "`denied`: no token, or an unknown, expired or revoked one",
    403: "`forbidden`: the token's role may not do this",
    404: "`not_found`",
    408: "`too_slow`: the body took too long",
    413: "`too_large`: the body has too many bytes",
    422: "`bad_request`, `invalid_value`, `bad_file`: names what and where",
    429: "`rate_limited`: ask again after `Retry-After` seconds",
    503: "`unavailable`, `busy`: ask again after `Retry-After` seconds",
}
_WRITE_ERRORS = _ERRORS | {409: "`conflict`: somebody else was first; holds both values"}
_VERSION_ERRORS = _WRITE_ERRORS | {428: "`version_required`: send If-Match"}


def reads(role: Role = "read", **more: Any) -> dict[str, Any]:
    """Keyword arguments of a route that changes nothing."""
    return _route(role, 64 * KIB, _ERRORS, more)


def writes(role: Role = "edit", *, most_bytes: int = 64 * KIB, versioned: bool = False, **more: Any) -> dict[str, Any]:
    """Keyword arguments of a route that changes something. `versioned`: it asks for If-Match."""
    return _route(role, most_bytes, _VERSION_ERRORS if versioned else _WRITE_ERRORS, more)


def _route(role: Role, most_bytes: int, errors: dict[int, str], more: dict[str, Any]) -> dict[str, Any]:
    extra = {ROLE: role, MOST_BYTES: most_bytes, **more.pop("openapi_extra", {})}
    described = {status: {"description": text} for status, text in errors.items()} | more.pop("responses", {})
    # `openapi_of` describes the answers by the types that the operations return.
    return {"openapi_extra": extra, "responses": described, "response_model": None, **more}


async def _caller(request: Request) -> Caller:
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise TypeError("the request did not come through the gate")
    return caller


async def _raw_body(request: Request) -> bytes:
    return await request.body()


async def _writing_caller(
    caller: Annotated[Caller, Depends(_caller)],
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Of your making. The same key again is answered as the first time, and does nothing twice.",
            min_length=1,
            max_length=128,
            examples=["order-4711"],
        ),
    ] = None,
) -> Caller:
    return caller


Writing = Annotated[Caller, Depends(_writing_caller)]
#: Parsed by the operation, in its thread.
RawBody = Annotated[bytes, Depends(_raw_body)]
SkuPath = Annotated[str, Path(description="The product's sku, percent-encoded.", max_length=128, examples=["1001"])]
RoomPath = Annotated[str, Path(description="The room's name.", max_length=128, examples=["room-1"])]
IdPath = Annotated[int, Path(ge=1, le=HIGHEST_ID, examples=[1])]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[int | None, Query(ge=0, le=HIGHEST_ID, description="`next_cursor` of the page before.")]
Room = Annotated[str | None, Query(max_length=128, description="Only of this room.")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The version that the edit was made from, as ETag gave it: `"3"`. `*`: whatever it is now.',
        max_length=64,
        examples=['"3"'],
    ),
]


def expected_version(if_match: str | None, *, required: bool = True) -> int | None:
    """The version that an edit was made from; None: any."""
    if if_match is None:
        if required:
            raise Refused(428, "version_required", "send If-Match with the version that the edit was made from, or *")
        return None
    text = if_match.strip()
    if text == "*":
        return None
    found = _VERSION.fullmatch(text)
    if found is None:
        raise Refused(422, "bad_request", f'If-Match is {text[:40]!r}; it must be a version such as "3", or *')
    return int(found[1])


class Writer:
    """Does what a request asks for in one transaction, once for each Idempotency-Key."""

    def __init__(self, store: Store, stats: ApiStats) -> None:
        self._store = store
        self._stats = stats

    def run(self, caller: Caller, work: Callable[[Session], R]) -> R:
        """Do `work` and give its answer, or the answer of the first time. Blocks.

        Raises:
            Conflict: somebody else was first, or the key was used for another request.
            CatalogError: whatever `work` raises; nothing was changed.
        """
        key = caller.idempotency_key
        if key is None:
            return self._store.edit(caller.who, work)

        def once(session: Session) -> Response:
            answered = idempotency.begin(session, key, caller.request)
            if answered is not None:
                return self._replay(answered)
            response = work(session)
            body = _packed(response)
            idempotency.finish(session, key, caller.request, status=response.status_code, body=body)
            return response

        try:
            return cast(R, self._store.edit(caller.who, once))
        except Conflict:
            # The same request may have come twice at the same time: then it is answered by now.
            answered = self.answered(caller)
            if answered is None:
                raise
            return cast(R, answered)

    def do(self, caller: Caller, work: Callable[[Session], object]) -> Response:
        """Do `work`, of which there is nothing to tell. Blocks."""

        def done(session: Session) -> Response:
            work(session)
            return Response(status_code=204)

        return self.run(caller, done)

    def answered(self, caller: Caller) -> Response | None:
        """The answer of the first time, for work of more than one transaction; None: it is new. Blocks."""
        key = caller.idempotency_key
        if key is None:
            return None
        # `write`, since keys are looked up by who writes.
        found = self._store.edit(caller.who, lambda session: idempotency.begin(session, key, caller.request))
        return None if found is None else self._replay(found)

    def _replay(self, answered: Answered) -> Response:
        self._stats.replayed += 1
        headers, _, body = answered.body.partition(b"\n")
        response = Response(body, answered.status, msgspec.json.decode(headers, type=dict[str, str]))
        response.headers["Idempotency-Replayed"] = "true"
        return response


def _packed(response: Response) -> bytes:
    """Headers that matter, and the body."""
    kept = {name: value for name, value in response.headers.items() if name in {"etag", "location", "content-type"}}
    return msgspec.json.encode(kept) + b"\n" + bytes(response.body)
