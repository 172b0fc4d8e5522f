"""Errors as answers: `{"schema": 1, "error": {"code": …, "message": …}}`."""

import logging
import math
from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from livecart.core.http_replies import error, error_with
from livecart.shop.errors import CatalogError, Conflict, InvalidValue, Param, StoreUnavailable

_log = logging.getLogger(__name__)
_AWAY = (
    "the catalog's database does not answer now; a change may have been saved or not: send it again with the same "
    "Idempotency-Key"
)
#: Of kinds of errors whose reason clients are told.
_STATUS = {"not_found": 404, "conflict": 409, "invalid_value": 422, "bad_file": 422}


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
    status = _STATUS.get(fault.kind)
    if status is None:
        is_away = isinstance(fault, StoreUnavailable)
        _log.log(logging.WARNING if is_away else logging.ERROR, "catalog API: %s", fault)
        message, wait_s = (_AWAY, "1") if is_away else ("the catalog cannot do that now", "5")
        return "unavailable", error(503, "unavailable", message, **{"Retry-After": wait_s})
    more: dict[str, Any] = {
        "reason": fault.reason,
        "params": {name: _sound(value) for name, value in fault.params.items()},
    }
    if isinstance(fault, Conflict):
        more |= {"theirs": fault.theirs, "yours": fault.yours}
    if isinstance(fault, InvalidValue):
        more["field"] = fault.field
    return fault.kind, error_with(status, fault.kind, str(fault), more, {})


def _sound(value: Param) -> Param:
    """Half a surrogate pair, which JSON cannot hold, escaped."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
