"""The built element at `/viewer/…`, for pages that take it from here. The files are read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from livecart.errors import SettingsError
from livecart.web.replies import error

#: What `make viewer` builds for browsers, and its types (RFC 9239 for JavaScript).
_FILES = {
    "live-cart.js": "text/javascript",
    "live-cart.mjs": "text/javascript",
    "hls.light.min.js": "text/javascript",
    "hls.LICENSE.txt": "text/plain",
}
#: Beside the package in a checkout; a wheel has none.
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "viewer" / "dist"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def element_router(viewer_dist: str | None) -> APIRouter:
    """`/viewer/live-cart.js` and what lies beside it; nothing where it is not built.

    Args:
        viewer_dist: the folder that holds it; None: the checkout's, if this is one.

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
    for name, media_type in _FILES.items():
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        files[name] = _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return files
