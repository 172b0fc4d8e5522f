"""Routes of viewers, and of whoever hands them their tickets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, WebSocket
from pydantic import BaseModel, ConfigDict, Field

from livecart.web.access import TokenCheck
from livecart.web.hub.event_stream import FeedbackPost, event_stream, preflight
from livecart.web.hub.hub import ViewerHub
from livecart.web.hub.settings import ViewersSettings
from livecart.web.hub.tickets import Role, TicketOffice
from livecart.web.hub.websocket import serve_websocket
from livecart.web.replies import error, reply


class TicketBody(BaseModel):
    """How long a ticket is to be good, and for whom."""

    model_config = ConfigDict(extra="forbid")

    for_s: Annotated[float | None, Field(ge=60, le=7 * 86_400, description="default: viewers.ticket_for_s")] = None
    role: Role = "viewer"


def hub_router(
    hub: ViewerHub, settings: ViewersSettings, guard: TokenCheck, hosts: TicketOffice | None = None
) -> APIRouter:
    """`/rooms/{id}/events`, `/feedback` and `/tickets`.

    Args:
        hub: serves the viewers.
        settings: how long a ticket is good, and what signs it.
        guard: who may mint tickets; viewers do not have its token.
        hosts: mints the hosts' tickets; None: as the viewers', so that without a secret there are none.
    """
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
        """What a viewer did; docs/viewer.md has the form."""
        return await take_feedback(request, room)

    @router.options("/{room}/feedback", include_in_schema=False)
    async def feedback_preflight(room: str, request: Request) -> Response:
        return preflight(hub, request, room)

    _add_tickets(router, settings, guard, hosts)
    return router


def _add_tickets(router: APIRouter, settings: ViewersSettings, guard: TokenCheck, hosts: TicketOffice | None) -> None:
    viewers = None if settings.secret is None else TicketOffice(settings.secret)
    dependencies: list[Any] = [Depends(guard)]

    @router.post("/{room}/tickets", dependencies=dependencies)
    async def mint(room: str, body: TicketBody | None = None) -> Response:
        """A ticket that lets viewers into the room, or its host into the console, for `ticket=` of the address."""
        asked = body or TicketBody()
        office = (hosts or viewers) if asked.role == "host" else viewers
        if office is None:
            return error(409, "no_tickets", "set viewers.secret in rooms.toml; without it there are no tickets")
        ticket = office.mint(room, settings.ticket_for_s if asked.for_s is None else asked.for_s, asked.role)
        return reply({"ticket": ticket.text, "expires_at_s": ticket.expires_at_s}, 201)
