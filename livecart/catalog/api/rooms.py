"""Routes of rooms and of what is on their lists."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.products import RoomAnswer, RoomsAnswer, SkusAnswer
from livecart.catalog.api.bodies import RoomBody, SkusBody
from livecart.catalog.api.operations import (
    MIB,
    IfMatch,
    RoomPath,
    Writer,
    Writing,
    expected_version,
    json_reply,
    reads,
    versioned_reply,
    writes,
)
from livecart.catalog.records import rooms
from livecart.catalog.service import CatalogService
from livecart.errors import NotFound


def add_rooms(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/rooms`."""
    store = service.store

    @router.get("/rooms", response_model=RoomsAnswer, **reads())
    def list_rooms() -> Response:
        """All rooms, by name."""
        with store.read() as session:
            return json_reply({"rooms": rooms.every(session)})

    @router.put("/rooms/{room}", response_model=RoomAnswer, **writes())
    def save_room(room: RoomPath, body: RoomBody, caller: Writing, if_match: IfMatch = None) -> Response:
        """Open a room, or give it another title. With If-Match only if it still has that version."""
        version = expected_version(if_match, required=False)

        def save(session: Session) -> Response:
            rooms.save(session, room, body.title, expected_version=version)
            saved = _room(session, room)
            return versioned_reply(saved, saved.version)

        return writer.run(caller, save)

    @router.delete("/rooms/{room}", status_code=204, response_model=None, **writes())
    def remove_room(room: RoomPath, caller: Writing) -> Response:
        """Forget a room. Products keep its name in their lists: it may be opened again."""

        def remove(session: Session) -> Response:
            rooms.remove(session, room)
            return Response(status_code=204)

        return writer.run(caller, remove)

    @router.get("/rooms/{room}/products", response_model=SkusAnswer, **reads())
    def list_room_products(room: RoomPath) -> Response:
        """Skus on the room's list. Products for every room are on none; `GET /products?room=` has the particulars."""
        with store.read() as session:
            return json_reply({"skus": rooms.listed(session, room)})

    @router.put("/rooms/{room}/products", response_model=SkusAnswer, **writes(most_bytes=MIB))
    def set_room_products(room: RoomPath, body: SkusBody, caller: Writing) -> Response:
        """Make the list exactly these products. One that was for every room becomes one for this room."""

        def set_list(session: Session) -> Response:
            rooms.set_list(session, room, body.skus)
            return json_reply({"skus": rooms.listed(session, room)})

        return writer.run(caller, set_list)


def _room(session: Session, name: str) -> rooms.RoomInfo:
    for room in rooms.every(session):
        if room.name == name.strip():
            return room
    raise NotFound(f"no room is named {name!r}")
