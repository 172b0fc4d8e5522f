"""Routes of rooms and their lists, and of what few may do: link hosts, tokens, the audit log."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response
from msgspec import Meta
from sqlalchemy.orm import Session

from livecart.shop.api.error_handlers import Refused
from livecart.shop.api.openapi import Json
from livecart.shop.api.operations import (
    MIB,
    Cursor,
    IdPath,
    IfMatch,
    Limit,
    RoomPath,
    Writer,
    Writing,
    expected_version,
    reads,
    writes,
)
from livecart.shop.api.request_schemas import RoomBody, SkusBody, TokenBody
from livecart.shop.errors import NotFound
from livecart.shop.repositories import audit, hosts, rooms, tokens
from livecart.shop.repositories.audit import AuditEntry
from livecart.shop.repositories.rooms import RoomInfo
from livecart.shop.repositories.tokens import TokenInfo
from livecart.shop.service import CatalogService

Host = Annotated[
    str,
    Path(
        max_length=255,
        description="`shop.example.com`, `host:port`, or `*.example.com` for all below.",
        examples=["shop.example.com"],
    ),
]


class RoomList(msgspec.Struct):
    """All rooms, by name."""

    rooms: list[RoomInfo]


class SkuList(msgspec.Struct):
    """Products by sku."""

    skus: Annotated[list[str], Meta(examples=[["1001", "1002"]])]


class HostList(msgspec.Struct):
    """Hosts that links may lead to."""

    hosts: Annotated[tuple[str, ...], Meta(examples=[["shop.example.com", "*.shop.example.cn"]])]


class TokenList(msgspec.Struct):
    """All tokens ever issued."""

    tokens: list[TokenInfo]


class IssuedToken(msgspec.Struct):
    """A new token. `token` is shown this once: only its hash is kept."""

    token: Annotated[str, Meta(examples=["lc_…"])]
    info: TokenInfo


class AuditPage(msgspec.Struct):
    """The newest changes first."""

    entries: list[AuditEntry]
    next_cursor: Annotated[int | None, Meta(examples=[12])]


def add_rooms(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/rooms`."""
    store = service.store

    @router.get("/rooms", **reads())
    def list_rooms() -> Json[RoomList]:
        """All rooms, by name."""
        with store.read() as session:
            return Json(RoomList(rooms.every(session)))

    @router.put("/rooms/{room}", **writes())
    def save_room(room: RoomPath, body: RoomBody, caller: Writing, if_match: IfMatch = None) -> Json[RoomInfo]:
        """Open a room, or give it another title. With If-Match only if it still has that version."""
        version = expected_version(if_match, required=False)

        def save(session: Session) -> Json[RoomInfo]:
            rooms.save(session, room, body.title, expected_version=version)
            saved = rooms.get(session, room.strip())
            return Json.versioned(saved, saved.version)

        return writer.run(caller, save)

    @router.delete("/rooms/{room}", status_code=204, **writes())
    def remove_room(room: RoomPath, caller: Writing) -> Response:
        """Forget a room. Products keep its name in their lists: it may be opened again."""
        return writer.do(caller, lambda session: rooms.remove(session, room))

    @router.get("/rooms/{room}/products", **reads())
    def list_room_products(room: RoomPath) -> Json[SkuList]:
        """Skus on the room's list. Products for every room are on none; `GET /products?room=` has the particulars."""
        with store.read() as session:
            return Json(SkuList(rooms.listed(session, room)))

    @router.put("/rooms/{room}/products", **writes(most_bytes=MIB))
    def set_room_products(room: RoomPath, body: SkusBody, caller: Writing) -> Json[SkuList]:
        """Make the list exactly these products. One that was for every room becomes one for this room."""

        def set_list(session: Session) -> Json[SkuList]:
            rooms.set_list(session, room, body.skus)
            return Json(SkuList(rooms.listed(session, room)))

        return writer.run(caller, set_list)


def add_hosts(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/hosts`."""

    @router.get("/hosts", **reads())
    def list_hosts() -> Json[HostList]:
        """Hosts that purchase links may lead to."""
        with service.store.read() as session:
            return Json(HostList(hosts.allowed(session)))

    @router.put("/hosts/{host}", **writes("admin"))
    def allow_host(host: Host, caller: Writing) -> Json[HostList]:
        """Allow links to a host. The archive's own list (`allowed_hosts`) should be kept alike."""

        def allow(session: Session) -> Json[HostList]:
            hosts.allow(session, host)
            return Json(HostList(hosts.allowed(session)))

        return writer.run(caller, allow)

    @router.delete("/hosts/{host}", status_code=204, **writes("admin"))
    def forbid_host(host: Host, caller: Writing) -> Response:
        """Allow links to it no more: cards with such links are no longer shown."""

        def forbid(session: Session) -> None:
            if not hosts.forbid(session, host):
                raise NotFound("no_host", host=host)

        return writer.do(caller, forbid)


def add_tokens(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/tokens` and `/audit`."""
    store = service.store

    @router.get("/tokens", **reads("admin"))
    def list_tokens() -> Json[TokenList]:
        """All tokens ever issued, without what they are."""
        with store.read() as session:
            return Json(TokenList(tokens.every(session)))

    @router.post("/tokens", status_code=201, **writes("admin"))
    def issue_token(body: TokenBody, caller: Writing) -> Json[IssuedToken]:
        """Issue a token. Its text is shown this once, so an Idempotency-Key is refused: nothing could keep it."""
        if caller.idempotency_key is not None:
            raise Refused(422, "bad_request", "Idempotency-Key: a token is shown once and kept nowhere; send no key")

        def issue(session: Session) -> Json[IssuedToken]:
            token, info = tokens.issue(session, body.name, body.role, lifetime_s=body.lifetime_s)
            return Json(IssuedToken(token, info), 201)

        return writer.run(caller, issue)

    @router.delete("/tokens/{token_id}", status_code=204, **writes("admin"))
    def revoke_token(token_id: IdPath, caller: Writing) -> Response:
        """Make a token void: here at once, in other processes within seconds."""
        return writer.do(caller, lambda session: tokens.revoke(session, token_id))

    @router.get("/audit", **reads("admin"))
    def list_audit(
        subject: Annotated[str | None, Query(max_length=16, description="product, photo, room, host, token, …")] = None,
        name: Annotated[str | None, Query(max_length=255, description="Whose: a sku, a room's name, …")] = None,
        who: Annotated[str | None, Query(max_length=128, description="By whom.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Json[AuditPage]:
        """The log of changes, newest first."""
        with store.read() as session:
            found = audit.latest(session, subject=subject, name=name, who=who, before_id=cursor, limit=limit)
        return Json(AuditPage(found, found[-1].id if len(found) == limit else None))
