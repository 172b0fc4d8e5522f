"""`/rooms/{id}/whep`: a viewer's SDP offer in, the answer out; who may watch the room may watch its stream."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from fastapi import APIRouter, Request, Response

from livecart.core.errors import StreamError
from livecart.core.http_bodies import BodyRefused, read_body
from livecart.core.http_replies import error
from livecart.web.hub.admission import Admission

#: An offer is some kilobytes.
_MOST_BYTES = 32 * 1024


class Shows(Protocol):
    """Rooms whose senders can be watched."""

    async def whep_accept(self, room: str, offer_sdp: str, on_end: Callable[[], None]) -> tuple[str, str] | None:
        """Let a viewer watch the room's sender; its id and the SDP answer, None where there is no such room.

        `on_end` is called once the viewer's connection has ended, and not where there is none.

        Raises:
            StreamError: the room has no sender, or the offer cannot be answered.
        """

    async def whep_end(self, room: str, viewer: str) -> bool:
        """End a viewer's connection; whether there was such a one."""


async def read_offer(request: Request) -> str | Response:
    """The SDP offer of a WHIP or WHEP request, or the answer that refuses what is none."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/sdp":
        return error(415, "bad_request", "send an SDP offer as application/sdp")
    try:
        return (await read_body(request, _MOST_BYTES)).decode()
    except BodyRefused as refused:
        return error(refused.status, "bad_request", f"an SDP offer: {refused}")
    except UnicodeDecodeError as refused:
        return error(400, "bad_offer", str(refused))


def whep_router(admission: Admission, shows: Shows) -> APIRouter:
    """POST an SDP offer, with tickets `?ticket=…`; DELETE at the Location that came back, which nobody else knows."""
    router = APIRouter(prefix="/rooms", tags=["viewers"])

    @router.post("/{room}/whep")
    async def offer(room: str, request: Request) -> Response:
        """Watch a room that is sent by WHIP; the answer is SDP, its Location ends it."""
        visit = await admission.admitted(request, room)
        if isinstance(visit, Response):
            return visit
        offer_sdp = await read_offer(request)
        if isinstance(offer_sdp, Response):
            return offer_sdp
        why = admission.take_connection(visit)
        if why is not None:
            return error(why.http_status, why.reason, why.message)
        give_back = partial(admission.limiter.give_back, visit.room, visit.ip)
        accepted = None
        try:
            accepted = await shows.whep_accept(room, offer_sdp, give_back)
        except StreamError as refused:
            return error(409, "no_stream", str(refused))
        finally:
            if accepted is None:
                give_back()
        if accepted is None:
            return error(404, "unknown_room", f"there is no room {room!r}")
        viewer, answer_sdp = accepted
        location = f"{request.url.path}/{viewer}"
        return Response(answer_sdp, 201, {"Location": location}, media_type="application/sdp")

    @router.delete("/{room}/whep/{viewer}")
    async def end(room: str, viewer: str) -> Response:
        """End watching: the id is known to who began it alone."""
        if await shows.whep_end(room, viewer):
            return Response(status_code=200)
        return error(404, "unknown_viewer", f"room {room!r} has no such viewer")

    return router
