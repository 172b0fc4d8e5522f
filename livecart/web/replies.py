"""What clients get: `livecart.http_replies`, and what only rooms say."""

from __future__ import annotations

from fastapi import Response

from livecart.http_replies import error, reply

__all__ = ["error", "reply", "unknown_room"]


def unknown_room(room: str) -> Response:
    """There is no such room."""
    return error(404, "unknown_room", f"there is no room {room!r}; GET /rooms lists them")
