"""Routes of viewers, and of whoever hands them their tickets."""

import logging
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request, Response, WebSocket
from pydantic import BaseModel, ConfigDict, Field, model_validator

from livecart.core.http_replies import error, reply
from livecart.web.access import TokenCheck
from livecart.web.hub.event_stream import FeedbackPost, event_stream, preflight
from livecart.web.hub.hub import ViewerHub
from livecart.web.hub.settings import LONGEST_TICKET_S, ViewersSettings
from livecart.web.hub.tickets import Role, TicketSigner
from livecart.web.hub.websocket import serve_websocket

_log = logging.getLogger(__name__)

#: An encoder's key stands in its settings from season to season.
_LONGEST_PUBLISHER_S = 366 * 86_400.0


class TicketBody(BaseModel):
    """Lifetime and role of a ticket."""

    model_config = ConfigDict(extra="forbid")

    for_s: Annotated[
        float | None, Field(ge=60, le=_LONGEST_PUBLISHER_S, description="default: viewers.ticket_for_s")
    ] = None
    role: Role = "viewer"

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.for_s is not None and self.for_s > LONGEST_TICKET_S and self.role != "publisher":
            raise ValueError(f"for_s: at most {LONGEST_TICKET_S:g} but for publishers")
        return self


def hub_router(hub: ViewerHub, settings: ViewersSettings, guard: TokenCheck, tickets: TicketSigner) -> APIRouter:
    """`/rooms/{id}/events`, `/feedback` and `/tickets`."""
    router = APIRouter(prefix="/rooms", tags=["viewers"])
    take_feedback = FeedbackPost(hub)

    @router.websocket("/{room}/events")
    async def events(socket: WebSocket, room: str) -> None:
        await serve_websocket(hub, socket, room)

    @router.get("/{room}/events", response_class=Response)
    async def events_as_stream(room: str, request: Request) -> Response:
        """A room's cards as server-sent events; by WebSocket at the same address."""
        return event_stream(hub, request, room)

    @router.post("/{room}/feedback")
    async def feedback(room: str, request: Request) -> Response:
        """Take a viewer's reports; docs/viewer.md has the form."""
        return await take_feedback(request, room)

    @router.options("/{room}/feedback", include_in_schema=False)
    async def feedback_preflight(room: str, request: Request) -> Response:
        return preflight(hub, request, room)

    _add_tickets(router, settings, guard, tickets)
    return router


def _add_tickets(router: APIRouter, settings: ViewersSettings, guard: TokenCheck, tickets: TicketSigner) -> None:
    dependencies: list[Any] = [Depends(guard)]

    @router.post("/{room}/tickets", dependencies=dependencies)
    async def mint(room: str, body: TicketBody | None = None) -> Response:
        """A ticket for viewers of the room or its host, for `ticket=` of the address, or for its encoder (WHIP)."""
        asked = body or TicketBody()
        if asked.role == "viewer" and settings.secret is None:
            return error(409, "no_tickets", "set viewers.secret in rooms.toml; without it viewers need no tickets")
        ticket = tickets.mint(room, settings.ticket_for_s if asked.for_s is None else asked.for_s, asked.role)
        if asked.role != "viewer":
            _log.info("room %s: a ticket of role %s, good until %d", room, asked.role, ticket.expires_at_s)
        return reply({"ticket": ticket.text, "expires_at_s": ticket.expires_at_s}, 201)
