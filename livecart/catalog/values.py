"""A product as the catalog takes it (`ProductPatch`) and gives it (`Product`); no database in here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from livecart.catalog.links import check_link
from livecart.catalog.money import check_currency, check_price
from livecart.errors import InvalidValue

PhotoKind = Literal["jpeg", "png", "webp"]

SKU_CHARS = 128
NAME_CHARS = 255
BRAND_CHARS = 128
ROOM_CHARS = 128
URL_CHARS = 2048
#: Of all words, or labels, of a product together, as JSON: what a MySQL TEXT column surely holds.
_LIST_BYTES = 16_000
_LIST_ENTRIES = 500
_STOCK_HIGHEST = 2_000_000_000
SEARCH_CHARS = 500


class PhotoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A photo of a product. `digest` is SHA-256 in hex and names the file; `name` is the path it came with."""

    digest: str
    kind: PhotoKind
    name: str
    width_px: int
    height_px: int
    size_bytes: int


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it stands. `stock` None: the shop does not count it; `rooms` None: in every room."""

    sku: str
    name: str
    url: str
    brand: str | None = None
    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    price: Decimal | None = None
    currency: str | None = None
    stock: int | None = None
    on_sale: bool = True
    threshold: float | None = None
    rooms: tuple[str, ...] | None = None
    photos: tuple[PhotoInfo, ...] = ()
    #: Which feed owns it; None where staff entered it.
    source: str | None = None
    version: int = 1
    updated_at_s: float = 0.0


class ProductPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to write of a product. A field that is not given stays as it is; a new product needs `name` and `url`."""

    sku: str
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    brand: str | UnsetType | None = UNSET
    words: tuple[str, ...] | UnsetType = UNSET
    labels: tuple[str, ...] | UnsetType = UNSET
    price: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    stock: int | UnsetType | None = UNSET
    on_sale: bool | UnsetType = UNSET
    threshold: float | UnsetType | None = UNSET
    rooms: tuple[str, ...] | UnsetType | None = UNSET

    def given(self) -> dict[str, Any]:
        """The fields to write, by name, without the sku."""
        values = {name: getattr(self, name) for name in PATCH_FIELDS}
        return {name: value for name, value in values.items() if value is not UNSET}


#: Every field of a patch but the sku.
PATCH_FIELDS = tuple(name for name in ProductPatch.__struct_fields__ if name != "sku")


def check_patch(patch: ProductPatch, *, allowed_hosts: Iterable[str], where: str = "") -> ProductPatch:
    """The patch in the form that is stored: texts trimmed, empty brands and currencies None, prices in plain digits.

    Args:
        patch: may be of a new product or not.
        allowed_hosts: as of `links.check_link`.
        where: line or row of a file, for the message.

    Raises:
        InvalidValue: naming the field: a text that is empty, too long or holds control characters, a link that must
            not be shown, a price, stock or threshold out of bounds.
    """
    try:
        sku = check_sku(patch.sku)
        values = {name: _checked(name, value, allowed_hosts) for name, value in patch.given().items()}
        return ProductPatch(sku=sku, **values)
    except InvalidValue as error:
        if not where:
            raise
        raise InvalidValue(error.field, error.reason, where=where) from error


def check_sku(sku: str) -> str:
    """A sku that can stand in a URL, a file and a line of a log.

    Raises:
        InvalidValue: empty, too long, blank at an end, or unprintable.
    """
    if sku != sku.strip():
        raise InvalidValue("sku", f"{sku[:40]!r} starts or ends with a blank")
    return _text("sku", sku, SKU_CHARS)


def check_room(room: str) -> str:
    """A room's name.

    Raises:
        InvalidValue: empty, too long or unprintable.
    """
    return _text("rooms", room, ROOM_CHARS)


def search_text(sku: str, name: str, brand: str | None, words: Iterable[str]) -> str:
    """What a search looks through: case, width and compatibility forms folded."""
    return fold(" ".join([sku, name, brand or "", *words]))[:SEARCH_CHARS]


def fold(text: str) -> str:
    """Unicode NFKC and case folded, blanks joined: ＡＢＣ is found by abc."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def to_json(value: Any) -> Any:
    """The JSON values of a struct or a dict: decimals as text."""
    return msgspec.to_builtins(value)


def _checked(field: str, value: Any, allowed_hosts: Iterable[str]) -> Any:
    if field == "name":
        return _text(field, value, NAME_CHARS)
    if field == "url":
        if len(value) > URL_CHARS:
            raise InvalidValue(field, f"is longer than {URL_CHARS} characters")
        if reason := check_link(value, allowed_hosts):
            raise InvalidValue(field, reason)
    elif field == "brand":
        return _text(field, value, BRAND_CHARS) if value and value.strip() else None
    elif field in {"words", "labels", "rooms"}:
        return None if value is None else _texts(field, value)
    elif field == "price":
        return None if value is None else check_price(value)
    elif field == "currency":
        return check_currency(value) if value else None
    elif field == "stock" and value is not None and not 0 <= value <= _STOCK_HIGHEST:
        raise InvalidValue(field, f"{value} is not between 0 and {_STOCK_HIGHEST}")
    elif field == "threshold" and value is not None and not 0.0 <= value <= 1.0:
        raise InvalidValue(field, f"{value} is not between 0 and 1")
    return value


def _text(field: str, value: str, most_chars: int) -> str:
    text = value.strip()
    if not text:
        raise InvalidValue(field, "is empty")
    if len(text) > most_chars:
        raise InvalidValue(field, f"{text[:40]!r}… is longer than {most_chars} characters")
    # Half a surrogate pair is unprintable too, and no database takes it. The wide blank of Chinese text may stay.
    if not text.replace("\u3000", " ").isprintable():
        raise InvalidValue(field, f"{text[:40]!r} holds control characters or line breaks")
    return text


def _texts(field: str, values: Iterable[str]) -> tuple[str, ...]:
    most_chars = ROOM_CHARS if field == "rooms" else NAME_CHARS
    texts = tuple(dict.fromkeys(_text(field, value, most_chars) for value in values))
    if len(texts) > _LIST_ENTRIES or len(msgspec.json.encode(texts)) > _LIST_BYTES:
        raise InvalidValue(field, f"holds more than {_LIST_ENTRIES} entries or {_LIST_BYTES} bytes")
    return texts
