"""A page that shows a room as viewers see it: its stream, with the element over it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from livecart.web.hub.addresses import BadAfter, read_asking
from livecart.web.hub.admission import Admission
from livecart.web.replies import error

_FOLDER = Path(__file__).parent / "watch_page"


def watch_router(admission: Admission, playback_url: Callable[[str], str | None]) -> APIRouter:
    """`/rooms/{id}/watch`, and the page's own files.

    Args:
        admission: who may see it: as who may watch the room.
        playback_url: where viewers play a room's stream; None where nobody said.
    """
    page = (_FOLDER / "page.html").read_text(encoding="utf-8")
    router = APIRouter(tags=["viewers"])

    @router.get("/rooms/{room}/watch", response_class=Response)
    async def watch(room: str, request: Request) -> Response:
        """The page. With tickets it wants one too: `?ticket=…`."""
        try:
            asking = read_asking(request, room)
        except BadAfter as bad:
            return error(400, "bad_request", str(bad))
        why = await admission.check(asking)
        if why is not None:
            return error(why.http_status, why.reason, why.message)
        source = playback_url(room)
        if source is None:
            return error(404, "no_playback", f"room {room!r} has no playback_url; set it in rooms.toml")
        clock = "program-date-time" if urlsplit(source).path.endswith(".m3u8") else "none"
        root = request.scope.get("root_path", "")
        written = {"room": room, "ticket": asking.ticket, "source": source, "clock": clock, "root": root}
        text = page.format(**{name: escape(value) for name, value in written.items()})
        return Response(text, media_type="text/html", headers=page_headers(source))

    _add_file(router, "watch.js", "page.js", "text/javascript")
    _add_file(router, "watch.css", "page.css", "text/css")
    return router


def _add_file(router: APIRouter, name: str, file: str, media_type: str) -> None:
    content = (_FOLDER / file).read_bytes()
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    @router.get(f"/viewer/{name}", response_class=Response, include_in_schema=False)
    async def read() -> Response:
        return Response(content, media_type=media_type, headers=headers)


def page_headers(source: str = "") -> dict[str, str]:
    """Headers of a page that plays `source`: nothing inline, nothing from elsewhere but pictures and the stream."""
    parts = urlsplit(source)
    # Where the stream is on another host, its playlist and segments are fetched from there.
    stream = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
        f"media-src 'self' blob:{stream}; connect-src 'self'{stream}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        # The address may hold a ticket.
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
