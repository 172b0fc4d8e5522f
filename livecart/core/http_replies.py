"""JSON answers by msgspec; errors have the recogniser's form (docs/http.md)."""

from typing import Any

import msgspec
from fastapi import Response

#: No browser takes an answer for anything but what it says it is.
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


def reply(content: Any, status: int = 200, **headers: str) -> Response:
    return Response(msgspec.json.encode(content), status, _NO_SNIFFING | headers, media_type="application/json")


def error(status: int, code: str, message: str, **headers: str) -> Response:
    """An error, as every part of livecart says it."""
    return error_with(status, code, message, {}, headers)


def error_with(status: int, code: str, message: str, more: dict[str, Any], headers: dict[str, str]) -> Response:
    """An error that says more than code and message: `more` stands beside them."""
    body = {"schema": 1, "error": {"code": code, "message": message, **more}}
    return Response(msgspec.json.encode(body), status, _NO_SNIFFING | headers, media_type="application/json")
