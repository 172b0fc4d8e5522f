"""Routes of WHIP (RFC 9725): a host's browser or encoder sends its stream to a room whose source is "whip"."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from livecart.errors import StreamError
from livecart.web.control import RoomControl
from livecart.web.replies import error, unknown_room

#: An offer is some kilobytes.
_MOST_BYTES = 256 * 1024


def whip_router(control: RoomControl) -> APIRouter:
    """`/rooms/{id}/whip`: POST an SDP offer, DELETE at the Location that came back."""
    router = APIRouter(prefix="/rooms", tags=["whip"])

    @router.post("/{room}/whip")
    async def offer(room: str, request: Request) -> Response:
        """Send a stream; the answer is SDP, its Location ends it."""
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/sdp":
            return error(415, "bad_request", "send an SDP offer as application/sdp")
        body = await _read(request)
        if body is None:
            return error(413, "bad_request", f"an offer has at most {_MOST_BYTES} bytes")
        try:
            accepted = await control.whip_accept(room, body.decode())
        except (StreamError, UnicodeDecodeError) as refused:
            return error(400, "bad_offer", str(refused))
        if accepted is None:
            return unknown_room(room)
        sender, answer_sdp = accepted
        location = f"{request.url.path}/{sender}"
        return Response(answer_sdp, 201, {"Location": location}, media_type="application/sdp")

    @router.delete("/{room}/whip/{sender}")
    async def end(room: str, sender: str) -> Response:
        """End the stream."""
        if await control.whip_end(room, sender):
            return Response(status_code=200)
        return error(404, "unknown_sender", f"room {room!r} has no such sender")

    return router


async def _read(request: Request) -> bytes | None:
    """The body; None where it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return bytes(body)
