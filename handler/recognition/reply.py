"""The reply of schema 1, as documented in ``docs/http.md``. Imports nothing else of the package but errors."""

from __future__ import annotations

import msgspec

from recognition.errors import RecognitionError

SCHEMA = 1

#: x1, y1, x2, y2 in pixels of the image as sent, after its EXIF orientation.
BoxXyxyPx = tuple[float, float, float, float]


class ModelInfo(msgspec.Struct, frozen=True):
    """Which archive answered."""

    name: str
    version: str
    backbone: str
    catalog: str | None


class ImageInfo(msgspec.Struct, frozen=True):
    """Size of the image as sent, in pixels, after its EXIF orientation."""

    width: int
    height: int


class LabelScore(msgspec.Struct, frozen=True):
    """One of the classifier's top-k classes; ``confidence`` is its softmax probability, 0..1."""

    index: int
    label: str
    confidence: float


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for a product, each 0..1; None where that kind of evidence was not looked at."""

    photo: float | None = None
    text: float | None = None
    label: float | None = None


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """A product that may be shown. ``box`` is None when the whole frame was judged, not a region."""

    sku: str
    name: str
    url: str
    confidence: float
    # No default on these two: the contract promises the keys, so omit_defaults must never drop them.
    box: BoxXyxyPx | None
    evidence: Evidence
    #: From which confidence it is shown where the request names none.
    threshold: float
    price: str | None = None
    currency: str | None = None


class TextLine(msgspec.Struct, frozen=True):
    """A line of text read on the packaging."""

    text: str
    confidence: float
    box: BoxXyxyPx


class TimingMs(msgspec.Struct, frozen=True):
    """Milliseconds. ``decode`` is this image's own, the others its batch's: it waits for the whole of them."""

    decode: float
    network: float
    print: float
    text: float
    match: float


class Reply(msgspec.Struct, frozen=True):
    """The body of a 200. ``batch`` images were answered together, this one among them."""

    schema: int
    model: ModelInfo
    image: ImageInfo
    labels: list[LabelScore]
    products: list[Product]
    texts: list[TextLine]
    timing_ms: TimingMs
    batch: int


def encode(reply: Reply) -> bytes:
    """UTF-8 JSON with Chinese unescaped."""
    return msgspec.json.encode(reply)


def encode_error(error: RecognitionError) -> bytes:
    """The body of a 4xx or 5xx, UTF-8 JSON."""
    return msgspec.json.encode({"schema": SCHEMA, "error": {"code": error.code, "message": error.message}})
