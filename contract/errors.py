"""The archive's error codes, and the body of a 4xx or 5xx."""

from typing import Annotated, Literal, get_args

import msgspec

ErrorCode = Literal[
    "bad_request", "bad_option", "bad_image", "image_too_large", "unsupported_image", "not_offered", "internal_error"
]
#: The HTTP status of each code. Codes are stable; docs/http.md says when each is sent.
STATUS_OF: dict[ErrorCode, int] = {
    "bad_request": 400,
    "bad_option": 400,
    "bad_image": 400,
    "image_too_large": 413,
    "unsupported_image": 415,
    "not_offered": 501,
    "internal_error": 500,
}


class ErrorDetail(msgspec.Struct, frozen=True):
    """``code`` is for programs, ``message`` for people. A later archive may send other codes."""

    code: Annotated[str, msgspec.Meta(examples=list(get_args(ErrorCode)))]
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of a 4xx or 5xx from the archive."""

    schema: Literal[1]
    error: ErrorDetail


class _AnyErrorBody(msgspec.Struct, frozen=True):
    """An error of the archive, which has ``error``, or of TorchServe, which has ``type`` and ``message``."""

    error: ErrorDetail | None = None
    type: str = ""
    message: str = ""


_decoder = msgspec.json.Decoder(_AnyErrorBody)


def encode_error(code: ErrorCode, message: str) -> bytes:
    """UTF-8 JSON with Chinese unescaped."""
    return msgspec.json.encode(ErrorBody(schema=1, error=ErrorDetail(code, message)))


def decode_error(body: bytes) -> tuple[str, str]:
    """Code and message of an error by the archive or by TorchServe; both empty where the body has neither."""
    try:
        decoded = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    return (decoded.error.code, decoded.error.message) if decoded.error else (decoded.type, decoded.message)
