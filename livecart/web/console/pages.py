"""The console's page, the page that asks for the token, and their files."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response

from livecart.web.access import TicketCheck
from livecart.web.console.feed import ConsoleFeed
from livecart.web.control import unknown_room
from livecart.web.hub.pages import add_file, page_headers
from livecart.web.hub.tickets import TicketSigner

_FOLDER = Path(__file__).parent / "page"
#: A console without a token's need gets a ticket for the hub; it is asked for anew with every load of the page.
_PAGE_TICKET_S = 12 * 3600.0


def console_router(
    feed: ConsoleFeed,
    hosts: TicketSigner,
    guard: TicketCheck,
    *,
    token_needed: bool,
    knows: Callable[[str], bool],
    playback_url: Callable[[str], str | None],
) -> APIRouter:
    """`/rooms/{id}/console`, `/rooms/{id}/controller`, `/rooms/{id}/detections`, and the pages' own files.

    Args:
        feed: tells what the recogniser sees.
        hosts: checks and mints hosts' tickets.
        guard: who may have the feed.
        token_needed: whether the API wants a token; without one everybody who reaches it is a host.
        knows: whether there is such a room.
        playback_url: where viewers play a room's stream; None where nobody said.
    """
    names = ("console", "controller", "sign_in")
    console, controller, sign_in = ((_FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in names)
    router = APIRouter(tags=["console"])
    dependencies: list[Any] = [Depends(guard)]

    @router.get("/rooms/{room}/detections", response_class=Response, dependencies=dependencies)
    async def detections(room: str) -> Response:
        """Detections, the room's state and its events, as server-sent events."""
        return feed.answer(room)

    @router.get("/rooms/{room}/console", response_class=Response)
    async def read_console(room: str, request: Request) -> Response:
        """The page, with a host's `?ticket=…`; without one, a page that asks for the token and gets a ticket by it."""
        return answer(console, room, request)

    @router.get("/rooms/{room}/controller", response_class=Response)
    async def read_controller(room: str, request: Request) -> Response:
        """The product to explain now, for the person at the platform's own console; access as to the host's console."""
        return answer(controller, room, request)

    def answer(page: str, room: str, request: Request) -> Response:
        root = request.scope.get("root_path", "")
        ticket = request.query_params.get("ticket", "")
        if token_needed and not hosts.admits(room, ticket, "host"):
            # The same for every room: strangers do not learn which there are.
            text = sign_in.replace("{root}", escape(root))
            return Response(text, 401, page_headers(), media_type="text/html")
        if not knows(room):
            return unknown_room(room)
        if not hosts.admits(room, ticket, "host"):
            ticket = hosts.mint(room, _PAGE_TICKET_S, "host").text
        source = playback_url(room) or ""
        if urlsplit(source).path.endswith("/whep"):
            source = ""  # a viewer's place is not taken
        clock = "program-date-time" if urlsplit(source).path.endswith(".m3u8") else "none"
        written = {"room": room, "ticket": ticket, "source": source, "clock": clock, "root": root}
        text = page.format(**{name: escape(value) for name, value in written.items()})
        return Response(text, media_type="text/html", headers=page_headers(source))

    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in {".js", ".css"}:
            add_file(router, f"/console/{path.name}", path)
    return router
