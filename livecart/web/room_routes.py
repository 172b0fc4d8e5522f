"""Routes of rooms, of what the host asks of them, and of WHIP (RFC 9725)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from contract.links import is_https_link
from livecart.core.errors import StreamError
from livecart.core.http_replies import error, reply
from livecart.core.overlay_position import Region
from livecart.core.printable import is_printable
from livecart.core.settings import UTM_SOURCE, RoomSettings
from livecart.core.types import Detection, RoomView
from livecart.web.access import is_by_ticket
from livecart.web.control import RoomControl, unknown_room
from livecart.web.hub.whep import read_offer

Sku = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RoomBody(_Body):
    """A room, as in rooms.toml but for its id, which the path has."""

    source: Annotated[str, Field(description="a stream's URL, or 'whip'", min_length=1, max_length=4096)]
    rate_hz: Annotated[float | None, Field(description="sampled frames a second, 0.1 to 10")] = None
    realtime: bool | None = None
    products: Annotated[list[Sku] | None, Field(description="the only products announced", max_length=100_000)] = None
    product_list: Annotated[str | None, Field(description="the room's name in the catalog; default: its id")] = None
    mirror: Annotated[Literal["auto"] | StrictBool, Field(description="the picture is left for right")] = "auto"
    playback_url: Annotated[str | None, Field(description="where viewers play the stream", max_length=4096)] = None
    ignore_regions: Annotated[
        list[Region], Field(description="not looked at: an overlay's position, or x, y, width, height as shares")
    ] = []
    utm_source: Annotated[str, Field(description="of links through /go: where viewers come from")] = UTM_SOURCE
    ticket_generation: Annotated[int, Field(description="a higher one revokes hosts' and publishers' tickets")] = 0

    def settings(self, room: str) -> RoomSettings:
        """The same for livecart."""
        return RoomSettings(
            id=room,
            source=self.source,
            rate_hz=self.rate_hz,
            realtime=self.realtime,
            products=None if self.products is None else tuple(self.products),
            product_list=self.product_list,
            mirror=self.mirror,
            playback_url=self.playback_url,
            ignore_regions=tuple(self.ignore_regions),
            utm_source=self.utm_source,
            ticket_generation=self.ticket_generation,
        )


def _printable(name: str | None) -> str | None:
    if name is not None and not is_printable(name):
        raise ValueError("holds line ends or characters that turn text round")
    return name


def _link(url: str | None) -> str | None:
    if url is not None and not is_https_link(url):
        raise ValueError("is no https link that may be shown")
    return url


class PinBody(_Body):
    """A product to show now. With name and link its card comes at once, else with its next result."""

    sku: Sku
    name: Annotated[str | None, Field(min_length=1, max_length=500), AfterValidator(_printable)] = None
    url: Annotated[str | None, Field(max_length=2000), AfterValidator(_link)] = None
    price: Annotated[str | None, Field(pattern=r"^\d+(\.\d+)?$", max_length=30)] = None
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$")] = None

    def detection(self) -> Detection | None:
        """The card's particulars, where name and link are given."""
        if self.name is None or self.url is None:
            return None
        return Detection(self.sku, self.name, self.url, 1.0, None, self.price, self.currency)


class MuteBody(_Body):
    """A product not to show, for so long; without a time until it is unmuted."""

    sku: Sku
    for_s: Annotated[float | None, Field(gt=0, le=31_536_000)] = None


class WithdrawBody(_Body):
    """A product whose card is to go."""

    sku: Sku


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

    @router.delete("/{room}/tickets")
    async def end_tickets(room: str) -> Response:
        """Revoke the tickets of the room's hosts and publishers; who sends or has the console open is ended."""
        return _room(room, await control.end_tickets(room))

    return router


#: Keeps who asked what of which room and product, once it is done.
Audit: TypeAlias = Callable[[str, str, str, str | None], Awaitable[None]]


def host_router(control: RoomControl, audit: Audit | None = None) -> APIRouter:
    """The host's controls of a room: pin, mute, withdraw."""
    router = APIRouter(prefix="/rooms", tags=["rooms"])

    async def done(request: Request, wish: str, room: str, sku: str | None, view: RoomView | None) -> Response:
        if audit is not None and view is not None:
            await audit("host" if is_by_ticket(request) else "http", wish, room, sku)
        return _room(room, view)

    @router.post("/{room}/pin")
    async def pin(room: str, request: Request, body: PinBody) -> Response:
        """Show a product now and until it is unpinned, in sight or not. One product is pinned at a time."""
        return await done(request, "pin", room, body.sku, control.pin(room, body.sku, body.detection()))

    @router.delete("/{room}/pin")
    async def unpin(room: str, request: Request) -> Response:
        """End the pin; the card stays while the product is in sight."""
        return await done(request, "unpin", room, None, control.unpin(room))

    @router.post("/{room}/mute")
    async def mute(room: str, request: Request, body: MuteBody) -> Response:
        """Do not show a product; its card goes."""
        return await done(request, "mute", room, body.sku, control.mute(room, body.sku, body.for_s))

    @router.delete("/{room}/mute/{sku:path}")
    async def unmute(room: str, sku: str, request: Request) -> Response:
        """End a mute; `?sku=` takes every sku, where the path takes neither `.` nor `..`."""
        return await done(request, "unmute", room, sku, control.unmute(room, sku))

    @router.delete("/{room}/mute")
    async def unmute_any(room: str, request: Request, sku: Annotated[Sku, Query()]) -> Response:
        """End a mute. Browsers take `..` in a path for the way to the room itself, which `DELETE` would remove."""
        return await done(request, "unmute", room, sku, control.unmute(room, sku))

    @router.post("/{room}/withdraw")
    async def withdraw(room: str, request: Request, body: WithdrawBody) -> Response:
        """Take a product's card away; it may come again as if it had been announced now."""
        return await done(request, "withdraw", room, body.sku, control.withdraw(room, body.sku))

    return router


def _room(room: str, view: RoomView | None) -> Response:
    return unknown_room(room) if view is None else reply(view)


def whip_router(control: RoomControl) -> APIRouter:
    """`/rooms/{id}/whip`: POST an SDP offer, DELETE at the Location that came back."""
    router = APIRouter(prefix="/rooms", tags=["whip"])

    @router.post("/{room}/whip")
    async def offer(room: str, request: Request) -> Response:
        """Send a stream; the answer is SDP, its Location ends it."""
        offer_sdp = await read_offer(request)
        if isinstance(offer_sdp, Response):
            return offer_sdp
        try:
            accepted = await control.whip_accept(room, offer_sdp)
        except StreamError as refused:
            return error(400, "bad_offer", str(refused))
        if accepted is None:
            return unknown_room(room)
        sender, answer_sdp = accepted
        headers = {"Location": f"{request.url.path}/{sender}"}
        links = control.ice_links()
        if links:
            headers["Link"] = ", ".join(links)
        return Response(answer_sdp, 201, headers, media_type="application/sdp")

    @router.delete("/{room}/whip/{sender}")
    async def end(room: str, sender: str) -> Response:
        """End the stream."""
        if await control.whip_end(room, sender):
            return Response(status_code=200)
        return error(404, "unknown_sender", f"room {room!r} has no such sender")

    return router
