"""What clients get: JSON by msgspec, and errors in the form of the recogniser's (docs/http.md)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response


def reply(content: Any, status: int = 200) -> Response:
    """`content` as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def error(status: int, code: str, message: str, **headers: str) -> Response:
    """An error, as every part of livecart says it."""
    body = {"schema": 1, "error": {"code": code, "message": message}}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def unknown_room(room: str) -> Response:
    """There is no such room."""
    return error(404, "unknown_room", f"there is no room {room!r}; GET /rooms lists them")
