"""The archive's reply to an image, schema 1, as documented in docs/http.md.

The order of the fields is the order of the keys. A reader ignores keys that it does not know, so that a later archive
may say more, and takes the defaults for those that an earlier one did not send.
"""

from typing import Annotated, Final, Literal

import msgspec

from contract.boxes import BoxXyxyPx

SCHEMA: Final = 1
Confidence = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
#: Of a picture, in pixels.
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class ModelInfo(msgspec.Struct, frozen=True):
    """The archive that answered; ``catalog`` is the id of the snapshot that it serves, None where it has none."""

    name: str = ""
    version: str = ""
    backbone: str = ""
    catalog: str | None = None


class ImageInfo(msgspec.Struct, frozen=True):
    """Size of the image as sent, in pixels, after its EXIF orientation."""

    width: Side
    height: Side


class LabelScore(msgspec.Struct, frozen=True):
    """One of the classifier's top-k classes; ``confidence`` is its softmax probability."""

    index: int
    label: str
    confidence: float


class Evidence(msgspec.Struct, frozen=True):
    """Evidence for a product, each kind 0 to 1; None where that kind was not looked at."""

    photo: float | None = None
    text: float | None = None
    label: float | None = None


class Detection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A product that may be shown. ``box`` is None when it is of the whole frame, not of a region."""

    sku: Annotated[str, msgspec.Meta(min_length=1)]
    name: str
    url: str
    confidence: Confidence
    box: BoxXyxyPx | None
    # Factories, because the contract promises the keys and omit_defaults drops what equals a plain default.
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    #: From which confidence it is shown where the request names none.
    threshold: Confidence | None = msgspec.field(default_factory=lambda: None)
    #: Decimal as text, such as "12.90"; the key is left out where the catalog names none.
    price: str | None = None
    currency: str | None = None
    #: Variants of it cost more.
    is_from_price: bool = False


class TextLine(msgspec.Struct, frozen=True):
    """A line of text read on the packaging."""

    text: str
    confidence: float
    box: BoxXyxyPx


class TimingMs(msgspec.Struct, frozen=True):
    """Milliseconds. ``decode`` is this image's own, the others its batch's: it waits for the whole of them."""

    decode: float = 0.0
    network: float = 0.0
    keypoints: float = 0.0
    text: float = 0.0
    match: float = 0.0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a 200. ``batch`` images were answered together, this one among them."""

    schema: Literal[1] = SCHEMA
    model: ModelInfo = ModelInfo()
    image: ImageInfo
    labels: list[LabelScore] = []
    products: list[Detection]
    texts: list[TextLine] = []
    #: Keypoints of a product match left for right, as a selfie camera shows it; None where none decided it.
    mirrored: bool | None = None
    timing_ms: TimingMs = TimingMs()
    batch: Side = 1


_decoder = msgspec.json.Decoder(Reply)


def encode(reply: Reply) -> bytes:
    """UTF-8 JSON with Chinese unescaped."""
    return msgspec.json.encode(reply)


def decode(body: bytes) -> Reply:
    """The body of a 200.

    Raises:
        msgspec.DecodeError: it is not a reply of schema 1; says where.
        UnicodeDecodeError: it is not UTF-8.
        RecursionError: nested too deep.
    """
    return _decoder.decode(body)
