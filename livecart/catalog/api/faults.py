"""What went wrong, as an answer: `{"schema": 1, "error": {"code": …, "message": …}}`."""

from __future__ import annotations

import logging
import math

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from livecart.errors import CatalogError, Conflict, FeedError, InvalidValue, NotFound, StoreUnavailable
from livecart.http_replies import error, error_with

_log = logging.getLogger(__name__)
_AWAY = (
    "the catalog's database does not answer now; a change may have been saved or not: send it again with the same "
    "Idempotency-Key"
)


class Refused(Exception):
    """A request that is not looked at further."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def slow_down(code: str, message: str, wait_s: float, status: int = 429) -> Refused:
    """Ask again in so many seconds."""
    return Refused(status, code, message, **{"Retry-After": str(max(1, math.ceil(wait_s)))})


def answer_to(fault: Exception) -> tuple[str, Response]:
    """The code and the answer; faults of ours are logged."""
    if isinstance(fault, Refused):
        return fault.code, error(fault.status, fault.code, fault.message, **fault.headers)
    if isinstance(fault, RequestValidationError):
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return "bad_request", error(422, "bad_request", f"{where}: {first['msg']}")
    if isinstance(fault, HTTPException):
        headers = dict(fault.headers or {})
        return "bad_request", error(fault.status_code, "bad_request", str(fault.detail), **headers)
    if isinstance(fault, ClientDisconnect):
        return "gone", error(400, "gone", "the connection ended before the body was here")
    if isinstance(fault, CatalogError):
        return _of_catalog(fault)
    if isinstance(fault, OSError):
        _log.error("catalog API: the catalog's folder cannot be used: %s", fault)
        return "unavailable", error(
            503, "unavailable", "the catalog's files cannot be used now", **{"Retry-After": "5"}
        )
    _log.error("catalog API: a fault of ours", exc_info=fault)
    return "internal_error", error(500, "internal_error", "our fault; the server's log has the traceback")


def _of_catalog(fault: CatalogError) -> tuple[str, Response]:
    if isinstance(fault, Conflict):
        both = {"theirs": fault.theirs, "yours": fault.yours}
        return "conflict", error_with(409, "conflict", str(fault), both, {})
    if isinstance(fault, NotFound):
        return "not_found", error(404, "not_found", str(fault))
    if isinstance(fault, InvalidValue):
        return "invalid_value", error_with(422, "invalid_value", str(fault), {"field": fault.field}, {})
    if isinstance(fault, FeedError):
        return "bad_file", error(422, "bad_file", str(fault))
    if isinstance(fault, StoreUnavailable):
        _log.warning("catalog API: %s", fault)
        return "unavailable", error(503, "unavailable", _AWAY, **{"Retry-After": "1"})
    _log.error("catalog API: %s", fault)
    return "unavailable", error(503, "unavailable", "the catalog cannot do that now", **{"Retry-After": "5"})
