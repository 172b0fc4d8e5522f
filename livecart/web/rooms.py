"""Routes of rooms and of what the host asks of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from livecart.types import RoomView
from livecart.web.bodies import MuteBody, PinBody, RoomBody, Sku, WithdrawBody
from livecart.web.control import RoomControl
from livecart.web.replies import reply, unknown_room


def rooms_router(control: RoomControl) -> APIRouter:
    """`/rooms`: list, read, add or change, remove."""
    router = APIRouter(prefix="/rooms", tags=["rooms"])

    @router.get("")
    async def list_rooms() -> Response:
        """All rooms, with the state of their streams."""
        return reply({"rooms": control.views()})

    @router.get("/{room}")
    async def read_room(room: str) -> Response:
        """One room."""
        return _room(room, control.view(room))

    @router.put("/{room}")
    async def put_room(room: str, body: RoomBody) -> Response:
        """Add the room, or change it: only what differs is interrupted."""
        is_new = control.view(room) is None
        return reply(await control.put(body.settings(room)), 201 if is_new else 200)

    @router.delete("/{room}")
    async def delete_room(room: str) -> Response:
        """Remove the room; its cards are withdrawn."""
        return Response(status_code=204) if await control.delete(room) else unknown_room(room)

    return router


def host_router(control: RoomControl) -> APIRouter:
    """What the host asks of a room: pin, mute, withdraw."""
    router = APIRouter(prefix="/rooms", tags=["rooms"])

    @router.post("/{room}/pin")
    async def pin(room: str, body: PinBody) -> Response:
        """Show a product now and until it is unpinned, in sight or not. One product is pinned at a time."""
        return _room(room, control.pin(room, body.sku, body.candidate()))

    @router.delete("/{room}/pin")
    async def unpin(room: str) -> Response:
        """End the pin; the card stays while the product is in sight."""
        return _room(room, control.unpin(room))

    @router.post("/{room}/mute")
    async def mute(room: str, body: MuteBody) -> Response:
        """Do not show a product; its card goes."""
        return _room(room, control.mute(room, body.sku, body.for_s))

    @router.delete("/{room}/mute/{sku:path}")
    async def unmute(room: str, sku: str) -> Response:
        """End a mute; `?sku=` takes every sku, where the path takes neither `.` nor `..`."""
        return _room(room, control.unmute(room, sku))

    @router.delete("/{room}/mute")
    async def unmute_any(room: str, sku: Annotated[Sku, Query()]) -> Response:
        """End a mute. Browsers take `..` in a path for the way to the room itself, which `DELETE` would remove."""
        return _room(room, control.unmute(room, sku))

    @router.post("/{room}/withdraw")
    async def withdraw(room: str, body: WithdrawBody) -> Response:
        """Take a product's card away; it may come again as if it had been announced now."""
        return _room(room, control.withdraw(room, body.sku))

    return router


def _room(room: str, view: RoomView | None) -> Response:
    return unknown_room(room) if view is None else reply(view)
