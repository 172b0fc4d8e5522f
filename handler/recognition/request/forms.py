"""One request of the predictions API, in any of its forms, to image bytes and options."""

import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from contract.boxes import BoxXyxyPx
from contract.json_lines import DuplicateKeyError, parse_object
from recognition.errors import BadOption, BadRequest
from recognition.settings import Thresholds, TopK

TextMode = Literal["auto", "always", "never"]

#: Names under which the server hands over the image: multipart field, raw HTTP body, gRPC input.
_IMAGE_FIELDS = ("image", "body", "data")
_OPTIONS = ("room", "top_k", "threshold", "text", "roi", "mirror")
_HEADERS = {
    "x-room": "room",
    "x-top-k": "top_k",
    "x-threshold": "threshold",
    "x-text": "text",
    "x-roi": "roi",
    "x-mirror": "mirror",
}
_MIRROR = {"auto": None, "true": True, "false": False}
_ROOM_MAX_CHARS = 128
#: No image has a side as long, so that a box reaching farther is a slip.
_FARTHEST_PX = 1e6
#: float() alone would also take "0_5" and the digits of every script.
#: No text is tried in two ways: thirty thousand digits before an "x" would take a minute.
_DECIMAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
#: What curl sends when nobody says otherwise; the server has then taken the image apart as a web form.
_FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Options:
    """Validated options. ``threshold`` is None where the archive's own thresholds hold.

    ``roi``: where a product is expected, in pixels of the image; all of it is searched only if none is found there.
    ``mirror``: the image is left for right, as a selfie camera shows it; None: found out by keypoints.
    """

    room: str | None
    top_k: int
    threshold: float | None
    text: TextMode
    roi: BoxXyxyPx | None = None
    mirror: bool | None = None

    def check_size(self, width_px: int, height_px: int) -> None:
        """Check what can only be checked once the image's size is known.

        Raises:
            BadOption: the roi lies outside of the image.
        """
        box = self.roi
        if box is not None and not (box[0] < width_px and box[1] < height_px and box[2] > 0 and box[3] > 0):
            raise BadOption(f"roi {_joined(box)} lies outside of the image of {width_px}x{height_px} pixels")


@dataclass(frozen=True)
class Request:
    """An encoded image and what is wanted of it."""

    image: bytes
    options: Options


def parse_request(
    fields: Mapping[str, Any], headers: Mapping[str, Any], *, top_k: TopK, thresholds: Thresholds
) -> Request:
    """Read a request as the server hands it over.

    ``fields`` are the parts of a multipart or gRPC request, or a single ``body``: image bytes, JSON bytes, or JSON
    that the server has parsed. ``headers`` are matched without regard to case. An option given as a field wins over
    the same option given as a header.

    Raises:
        BadRequest: no image, or JSON or base64 that cannot be read.
        BadOption: an option that is unknown or out of bounds.
    """
    by_name = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    content_type = by_name.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == _FORM_TYPE:
        raise BadRequest(
            f"the image was sent as a web form ({_FORM_TYPE}); name its type, as in curl -H 'Content-Type: image/jpeg'"
        )
    given = {option: _utf8(by_name[header]) for header, option in _HEADERS.items() if header in by_name}
    image, named = _image_and_fields(fields, is_json=content_type == "application/json")
    given.update(named)
    return Request(image=image, options=_options(given, top_k, thresholds))


def _utf8(header: str) -> str:
    """A header's text: HTTP hands it over as Latin-1, and a room's name in Chinese is UTF-8 inside."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _image_and_fields(fields: Mapping[str, Any], *, is_json: bool) -> tuple[bytes, dict[str, Any]]:
    if len(fields) == 1 and "body" in fields and (is_json or isinstance(fields["body"], dict)):
        return _from_json(fields["body"])
    present = [name for name in _IMAGE_FIELDS if name in fields]
    if len(present) != 1:
        raise BadRequest('send one image: as the body, as the field \'image\', or as JSON {"image": "<base64>"}')
    image = fields[present[0]]
    if not isinstance(image, bytes | bytearray):
        raise BadRequest(f"the image arrived as {type(image).__name__}, not bytes; name its type, such as image/jpeg")
    return bytes(image), {name: _text(name, value) for name, value in fields.items() if name != present[0]}


def _from_json(body: Any) -> tuple[bytes, dict[str, Any]]:
    if isinstance(body, bytes | bytearray):
        try:
            body = parse_object(body.decode("utf-8-sig"))
        except DuplicateKeyError as error:
            raise BadRequest(f"in the JSON body {error}") from error
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the JSON body must be an object, not {type(body).__name__}")
    if not isinstance(body.get("image"), str):
        raise BadRequest("the JSON body needs the key 'image' with the image in base64")
    return _base64(body["image"]), {key: value for key, value in body.items() if key != "image"}


def _base64(text: str) -> bytes:
    if text.startswith("data:"):
        kind, comma, text = text.partition(",")
        if not comma or not kind.endswith(";base64"):
            raise BadRequest("the data: URL in 'image' is not base64")
    try:
        # Line breaks are what the base64 command puts in; anything else that is not base64 is an error.
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError as error:
        raise BadRequest(f"'image' is not base64: {error}") from error


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes | bytearray):
        # Not bytes(value): of a number, that many zero bytes.
        raise BadOption(f"field {name!r} arrived as {type(value).__name__}, not as text")
    try:
        return value.decode("utf-8")
    except ValueError as error:
        raise BadOption(f"field {name!r} is not UTF-8 text") from error


def _options(given: Mapping[str, Any], top_k: TopK, thresholds: Thresholds) -> Options:
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        raise BadOption(f"unknown option {unknown[0][:40]!r}; there are {', '.join(_OPTIONS)}")
    # null in JSON means: not given.
    set_options = {name: value for name, value in given.items() if value is not None}
    threshold = set_options.get("threshold")
    return Options(
        room=_room(set_options["room"]) if "room" in set_options else None,
        top_k=_integer("top_k", set_options.get("top_k", top_k.default), 0, top_k.highest),
        threshold=None if threshold is None else _number("threshold", threshold, thresholds),
        text=_mode(set_options.get("text", "auto")),
        roi=_box("roi", set_options["roi"]) if "roi" in set_options else None,
        mirror=_mirror(set_options.get("mirror", "auto")),
    )


def _room(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _ROOM_MAX_CHARS:
        raise BadOption(f"room must be text of 1 to {_ROOM_MAX_CHARS} printable characters")
    return value.strip()


def _integer(name: str, value: Any, lowest: int, highest: int) -> int:
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        number = int(value)
    if number is None or not lowest <= number <= highest:
        raise BadOption(f"{name} must be a whole number from {lowest} to {highest}, not {_shown(value)}")
    return number


def _number(name: str, value: Any, bounds: Thresholds) -> float:
    try:
        wrong = isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value))
        number = math.nan if wrong else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not bounds.lowest <= number <= bounds.highest:  # also false for NaN
        raise BadOption(f"{name} must be a number from {bounds.lowest} to {bounds.highest}, not {_shown(value)}")
    return number


def _box(name: str, value: Any) -> BoxXyxyPx:
    """Four numbers in a JSON list, or in text with commas between them."""
    sides = value.split(",") if isinstance(value, str) else value
    numbers = [_side(side) for side in sides] if isinstance(sides, list) else []
    if len(numbers) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):  # also false for NaN
        raise BadOption(f"{name} must be a box x1,y1,x2,y2 in pixels with x1 < x2 and y1 < y2, not {_shown(value)}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _side(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if abs(number) <= _FARTHEST_PX else math.nan


def _mode(value: Any) -> TextMode:
    if value in get_args(TextMode):
        return value  # type: ignore[no-any-return]
    raise BadOption(f"text must be one of {', '.join(get_args(TextMode))}, not {_shown(value)}")


def _mirror(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _MIRROR:
        return _MIRROR[value]
    raise BadOption(f"mirror must be one of {', '.join(_MIRROR)}, not {_shown(value)}")


def _joined(box: BoxXyxyPx) -> str:
    return ",".join(f"{side:g}" for side in box)


def _shown(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str | int | float) else type(value).__name__
