"""The built element at `/viewer/…`, and the pages of a room that stand on it: watch, and the overlay for OBS."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec
import segno
from fastapi import APIRouter, Request, Response

from livecart.core.card_links import go_link
from livecart.core.errors import SettingsError
from livecart.core.http_replies import error
from livecart.core.overlay_position import OverlayPosition, overlay_css
from livecart.web.hub.admission import Admission
from livecart.web.hub.hub import ViewerHub

#: What `make viewer` builds for browsers; types of files (RFC 9239 for JavaScript).
_FILES = ("live-cart.js", "live-cart.mjs", "hls.light.min.js", "hls.LICENSE.txt")
_MEDIA_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
#: Beside the package in a checkout; a wheel has none.
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "viewer" / "dist"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def element_router(viewer_dist: str | None) -> APIRouter:
    """`/viewer/live-cart.js` and what lies beside it; nothing where it is not built.

    Raises:
        SettingsError: a folder is named that does not hold the element.
    """
    files = _read(_IN_CHECKOUT if viewer_dist is None else Path(viewer_dist))
    if viewer_dist is not None and "live-cart.js" not in files:
        raise SettingsError(f"viewers.viewer_dist: {viewer_dist} has no live-cart.js; `make viewer` builds it")
    router = APIRouter(prefix="/viewer", tags=["viewers"])

    @router.get("/{name}", response_class=Response)
    async def read(name: str, request: Request) -> Response:
        """A file of the built element."""
        file = files.get(name)
        if file is None:
            return error(404, "unknown_file", f"there is no {name!r} here; `make viewer` builds the element")
        # Any page may load the script; what the page may watch is the hub's to say.
        headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        headers["X-Content-Type-Options"] = "nosniff"
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return router


def _read(folder: Path) -> dict[str, _File]:
    files = {}
    for name in _FILES:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        files[name] = _File(content, _MEDIA_TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return files


_FOLDER = Path(__file__).parent / "watch_page"


def watch_router(admission: Admission, playback_url: Callable[[str], str | None]) -> APIRouter:
    """`/rooms/{id}/watch`, and the page's own files."""
    page, no_playback = ((_FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in ("page", "no_playback"))
    router = APIRouter(tags=["viewers"])

    @router.get("/rooms/{room}/watch", response_class=Response)
    async def watch(room: str, request: Request) -> Response:
        """The page, or one that says how to set what it would play. With tickets it wants one too: `?ticket=…`."""
        visit = await admission.admitted(request, room)
        if isinstance(visit, Response):
            return visit
        source = playback_url(room)
        root = request.scope.get("root_path", "")
        if source is None:
            text = no_playback.format(room=escape(room), root=escape(root))
            return Response(text, media_type="text/html", headers=page_headers())
        path = urlsplit(source).path
        clock = "program-date-time" if path.endswith(".m3u8") else "none"
        if path.endswith("/whep") and source.startswith("/"):
            source = f"{root}{source}?ticket={quote(visit.ticket)}"
        written = {"room": room, "ticket": visit.ticket, "source": source, "clock": clock, "root": root}
        text = page.format(**{name: escape(value) for name, value in written.items()})
        return Response(text, media_type="text/html", headers=page_headers(source))

    add_file(router, "/viewer/watch.js", _FOLDER / "page.js")
    add_file(router, "/viewer/watch.css", _FOLDER / "page.css")
    return router


#: What version 10 holds at level M: 3.8 of 1080 pixels a module, which is read after the encoder (test_obs_overlay.py).
_MOST_QR_BYTES = 213


def overlay_router(hub: ViewerHub) -> APIRouter:
    """`/rooms/{id}/overlay`, and the QR codes that it may show."""
    page = (_FOLDER / "overlay.html").read_text(encoding="utf-8")
    router = APIRouter(tags=["viewers"])

    @router.get("/rooms/{room}/overlay", response_class=Response)
    async def overlay(
        room: str,
        request: Request,
        *,
        position: OverlayPosition = "upper-right",
        theme: Literal["light", "dark"] = "light",
        lang: Literal["zh-CN", "en"] = "zh-CN",
        qr: bool = False,
    ) -> Response:
        """A transparent page with the card alone, for OBS and the like. With tickets it wants one too: `?ticket=…`."""
        visit = await hub.admission.admitted(request, room)
        if isinstance(visit, Response):
            # It may be on air: what is wrong stands in the tab's title, not in the picture.
            why = msgspec.json.decode(visit.body)["error"]["message"]
            text = f"<!doctype html><title>{escape(why)}</title>"
            return Response(text, visit.status_code, page_headers(), media_type="text/html")
        written = {"room": room, "ticket": visit.ticket, "theme": theme, "lang": lang, "content": "qr" if qr else ""}
        written["root"] = request.scope.get("root_path", "")
        text = page.format(**{name: escape(value) for name, value in written.items()}, style=overlay_css(position))
        # The page's own rules, and those that OBS writes into it ("Custom CSS"): a style element, or a data: link.
        return Response(text, media_type="text/html", headers=page_headers(styles="'unsafe-inline' data:"))

    @router.get("/rooms/{room}/qr/{card_id}", response_class=Response)
    async def qr_code(room: str, card_id: str, request: Request) -> Response:
        """The link of a card that the room shows, as SVG."""
        visit = await hub.admission.admitted(request, room)
        if isinstance(visit, Response):
            return visit
        card = hub.card(room, card_id)
        if card is None:
            return error(404, "unknown_card", f"room {room!r} shows no card {card_id!r} now")
        link = go_link(hub.public_url, card_id) or card.url
        if len(link.encode()) > _MOST_QR_BYTES:
            return error(404, "link_too_long", f"the link of {card.sku!r} has more than {_MOST_QR_BYTES} bytes")
        drawn = io.BytesIO()
        segno.make_qr(link, error="m").save(drawn, kind="svg", border=4, light="white", omitsize=True)
        return Response(drawn.getvalue(), media_type="image/svg+xml", headers=page_headers())

    return router


def add_file(router: APIRouter, path: str, file: Path) -> None:
    """Serve a page's own script or style."""
    content = file.read_bytes()
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    @router.get(path, response_class=Response, include_in_schema=False)
    async def read() -> Response:
        return Response(content, media_type=_MEDIA_TYPES[file.suffix], headers=headers)


def page_headers(source: str = "", styles: str = "'self'") -> dict[str, str]:
    """Headers of a page that plays `source`: nothing inline, nothing from elsewhere but pictures and the stream."""
    parts = urlsplit(source)
    # Where the stream is on another host, its playlist and segments are fetched from there.
    stream = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' https: data:; "
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
