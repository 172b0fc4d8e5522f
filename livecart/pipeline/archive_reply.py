"""What the archive answers (docs/http.md, schema 1), read strictly: only the fields that livecart uses.

Unknown fields are left alone, so that a later archive may say more.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from livecart.errors import RecognizerError
from livecart.types import BoxXyxyPx, Candidate, Evidence, TextLine

Confidence = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Side = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]

#: Pixels by which the archive's idea of the JPEG's size may differ from ours: one for rounding on each side.
_SIZE_TOLERANCE_PX = 2


class ReplyImage(msgspec.Struct, frozen=True):
    """Size of the JPEG as the archive saw it, in pixels."""

    width: Side
    height: Side


class ReplyEvidence(msgspec.Struct, frozen=True):
    """What speaks for a product; null where it was not looked at. Only shown to people, so that no bounds are held."""

    photo: float | None = None
    text: float | None = None
    label: float | None = None


class ReplyText(msgspec.Struct, frozen=True):
    """A line read on packaging; `box` in pixels of the JPEG."""

    text: str
    confidence: float
    box: tuple[float, float, float, float]


class ReplyProduct(msgspec.Struct, frozen=True):
    """A product that may be shown; `box` in pixels of the JPEG."""

    sku: Text
    name: str
    url: str
    confidence: Confidence
    box: tuple[float, float, float, float] | None
    threshold: Confidence | None = None
    price: str | None = None
    currency: str | None = None
    evidence: ReplyEvidence | None = None


class ReplyModel(msgspec.Struct, frozen=True):
    """What answered; `catalog` is the id of its catalog snapshot, None where it has none."""

    catalog: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """The body of a 200. `timing_ms` is in milliseconds by stage, of the whole `batch` of images answered together."""

    schema: Literal[1]
    image: ReplyImage
    products: list[ReplyProduct]
    texts: list[ReplyText] = []
    timing_ms: dict[str, float] = {}
    batch: Side = 1
    model: ReplyModel = ReplyModel()


class ErrorDetail(msgspec.Struct, frozen=True):
    """The archive's own error."""

    code: str
    message: str


class ErrorReply(msgspec.Struct, frozen=True):
    """A 4xx or 5xx: the archive's form has `error`, TorchServe's own `type` and `message`."""

    error: ErrorDetail | None = None
    type: str = ""
    message: str = ""


_reply_decoder = msgspec.json.Decoder(Reply)
_error_decoder = msgspec.json.Decoder(ErrorReply)


def decode_reply(body: bytes) -> Reply:
    """The body of a 200.

    Raises:
        RecognizerError: It is not a reply of schema 1; says where.
    """
    try:
        return _reply_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecognizerError(f"the recogniser's reply is not one of schema 1 (docs/http.md): {error}") from error


def decode_error(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body; both empty where it has neither."""
    try:
        reply = _error_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    return (reply.error.code, reply.error.message) if reply.error is not None else (reply.type, reply.message)


def is_https_link(url: str) -> bool:
    """Whether `url` is a plain https link that may be put before a viewer: a host, no user name, no odd characters."""
    if not url.isprintable() or any(sign in url for sign in ' \\<>"'):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and parts.username is None


def candidates(reply: Reply, *, width_px: int, height_px: int, scale: float) -> tuple[list[Candidate], list[str]]:
    """The reply's products with boxes in pixels of a frame of that size, and the skus left out for their links.

    Args:
        reply: As the archive sent it.
        width_px: The frame's width, above 0.
        height_px: The frame's height, above 0.
        scale: What the frame's sides were multiplied with to make the JPEG, above 0.

    Raises:
        RecognizerError: The reply is about a picture of another size, or a box is inside out.
    """
    image = reply.image
    if max(abs(image.width - width_px * scale), abs(image.height - height_px * scale)) > _SIZE_TOLERANCE_PX:
        raise RecognizerError(
            f"the recogniser answered for a picture of {image.width}x{image.height} pixels, "
            f"but was sent one of {width_px * scale:.0f}x{height_px * scale:.0f}"
        )
    kept, unsafe = [], []
    for product in reply.products:
        if not is_https_link(product.url):
            unsafe.append(product.sku)
            continue
        box = None if product.box is None else _to_frame(product.box, image, width_px, height_px)
        if product.box is not None and box is None:
            raise RecognizerError(f"the recogniser's box of product {product.sku} is empty or outside: {product.box}")
        kept.append(
            Candidate(
                sku=product.sku,
                name=product.name,
                url=product.url,
                confidence=product.confidence,
                box_xyxy_px=box,
                threshold=product.threshold,
                price=product.price,
                currency=product.currency,
                evidence=_evidence(product.evidence),
            )
        )
    return kept, unsafe


def text_lines(reply: Reply, *, width_px: int, height_px: int) -> tuple[TextLine, ...]:
    """The lines read, with boxes in pixels of a frame of that size.

    One outside the picture is left out: they are only shown to people, and cost no look.
    """
    placed = ((line, _to_frame(line.box, reply.image, width_px, height_px)) for line in reply.texts)
    return tuple(TextLine(line.text, line.confidence, box) for line, box in placed if box is not None)


def _evidence(said: ReplyEvidence | None) -> Evidence | None:
    return None if said is None else Evidence(said.photo, said.text, said.label)


def _to_frame(
    box: tuple[float, float, float, float], image: ReplyImage, width_px: int, height_px: int
) -> BoxXyxyPx | None:
    """The box in the frame's pixels, cut at its edges; None: nothing of it is in the frame."""
    x1, y1, x2, y2 = box
    across, down = width_px / image.width, height_px / image.height
    x1, x2 = (min(max(x * across, 0.0), float(width_px)) for x in (x1, x2))
    y1, y2 = (min(max(y * down, 0.0), float(height_px)) for y in (y1, y2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
