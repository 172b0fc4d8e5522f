"""What operations have in common: how they are documented, what they take, and how they write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Path, Query, Request, Response
from sqlalchemy.orm import Session

from livecart.catalog.api.access import Caller
from livecart.catalog.api.answers.base import ConflictAnswer, ErrorAnswer
from livecart.catalog.api.faults import Refused
from livecart.catalog.api.route import MOST_BYTES, ROLE
from livecart.catalog.api.stats import ApiStats
from livecart.catalog.database.store import Store
from livecart.catalog.records import idempotency
from livecart.catalog.records.idempotency import Answered
from livecart.catalog.records.tokens import Role
from livecart.errors import Conflict

#: What JavaScript counts exactly; every database's BIGINT holds it.
HIGHEST_ID = 2**53 - 1
KIB, MIB = 1024, 1024 * 1024
_VERSION = re.compile(r'"?(\d{1,15})"?')

_Responses = dict[int | str, dict[str, Any]]
_ERRORS: _Responses = {
    400: {"model": ErrorAnswer, "description": "`bad_request`: the body is no JSON, no UTF-8, no form"},
    401: {"model": ErrorAnswer, "description": "`denied`: no token, or an unknown, expired or revoked one"},
    403: {"model": ErrorAnswer, "description": "`forbidden`: the token's role may not do this"},
    404: {"model": ErrorAnswer, "description": "`not_found`"},
    408: {"model": ErrorAnswer, "description": "`too_slow`: the body took too long"},
    413: {"model": ErrorAnswer, "description": "`too_large`: the body has too many bytes"},
    422: {"model": ErrorAnswer, "description": "`bad_request`, `invalid_value`, `bad_file`: names what and where"},
    429: {"model": ErrorAnswer, "description": "`rate_limited`: ask again after `Retry-After` seconds"},
    503: {"model": ErrorAnswer, "description": "`unavailable`, `busy`: ask again after `Retry-After` seconds"},
}
_WRITE_ERRORS: _Responses = {
    409: {"model": ConflictAnswer, "description": "`conflict`: somebody else was first; holds both values"},
}
_VERSION_ERRORS: _Responses = {
    428: {"model": ErrorAnswer, "description": "`version_required`: send If-Match"},
}


def reads(role: Role = "read", **more: Any) -> dict[str, Any]:
    """Keyword arguments of a route that changes nothing."""
    return _route(role, 64 * KIB, _ERRORS, more)


def writes(role: Role = "edit", *, most_bytes: int = 64 * KIB, versioned: bool = False, **more: Any) -> dict[str, Any]:
    """Keyword arguments of a route that changes something. `versioned`: it asks for If-Match."""
    return _route(role, most_bytes, _ERRORS | _WRITE_ERRORS | (_VERSION_ERRORS if versioned else {}), more)


def _route(role: Role, most_bytes: int, errors: _Responses, more: dict[str, Any]) -> dict[str, Any]:
    extra = {ROLE: role, MOST_BYTES: most_bytes, **more.pop("openapi_extra", {})}
    return {"openapi_extra": extra, "responses": errors | more.pop("responses", {}), **more}


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
    """The version that an edit was made from; None: any.

    Raises:
        Refused: there is none where one is required, or it is none.
    """
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


def json_reply(content: Any, status: int = 200, **headers: str) -> Response:
    """`content`, by msgspec, as JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def versioned_reply(content: Any, version: int, status: int = 200, **headers: str) -> Response:
    """The same with its version as ETag."""
    return json_reply(content, status, ETag=f'"{version}"', **headers)


class Writer:
    """Does what a request asks for in one transaction, once for each Idempotency-Key."""

    def __init__(self, store: Store, stats: ApiStats) -> None:
        self._store = store
        self._stats = stats

    def run(self, caller: Caller, work: Callable[[Session], Response]) -> Response:
        """What `work` answers, or what it answered the first time. Blocks.

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
            return self._store.edit(caller.who, once)
        except Conflict:
            # The same request may have come twice at the same time: then it is answered by now.
            answered = self.answered(caller)
            if answered is None:
                raise
            return answered

    def answered(self, caller: Caller) -> Response | None:
        """What the request was answered before, for what takes more than one transaction. Blocks.

        Raises:
            Conflict: the key was used for another request.
        """
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
