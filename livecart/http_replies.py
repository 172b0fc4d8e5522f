"""What clients get: JSON by msgspec, and errors in the form of the recogniser's (docs/http.md)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response


def reply(content: Any, status: int = 200, **headers: str) -> Response:
    """`content` as JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def error(status: int, code: str, message: str, **headers: str) -> Response:
    """An error, as every part of livecart says it."""
    return error_with(status, code, message, {}, headers)


def error_with(status: int, code: str, message: str, more: dict[str, Any], headers: dict[str, str]) -> Response:
    """An error that says more than code and message: `more` stands beside them."""
    body = {"schema": 1, "error": {"code": code, "message": message, **more}}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
