"""``catalog.json``: the products of a shop as they stand in a catalog folder. docs/catalog.md describes the fields.

A mistake in one product stops the reading with a message that says where it stands.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from contract.json_lines import DuplicateKeyError, line_of_duplicate, line_of_key, parse_object
from contract.reply import Confidence

CATALOG_FILE: Final = "catalog.json"
SCHEMA: Final = 1
#: Of one product. With more, its negatives would be all that a frame is compared with.
MOST_NEGATIVES: Final = 5
#: Strings are matched whole, so that a brace inside one is never taken for a bracket of the document.
_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]')
_KEY_IN_MESSAGE = re.compile(r"`\$\.(\w+)|field `(\w+)`")

Texts = tuple[str, ...] | None | UnsetType


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A form that a product is sold in, such as 红色 M, with a sku of its own. The archive does not look at it."""

    sku: str
    name: str
    price: Annotated[Decimal | None, Meta(extra_json_schema={"type": ["string", "number", "null"]})] = None
    stock: Annotated[int | None, Meta(description="null: not counted.")] = None
    image_url: Annotated[str | None, Meta(description="A picture of it elsewhere.")] = None


class CatalogEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product of the file. A key that is not there is UNSET: who imports the file leaves that field as it is."""

    sku: str
    name: str
    url: str
    brand: str | UnsetType | None = UNSET
    words: Annotated[Texts, Meta(description="What else stands on the packaging.")] = UNSET
    labels: Annotated[Texts, Meta(description="Classes of the classifier.")] = UNSET
    price: Annotated[Raw | UnsetType, Meta(extra_json_schema={"type": ["string", "number", "null"]})] = UNSET
    currency: str | UnsetType | None = UNSET
    stock: Annotated[int | UnsetType | None, Meta(description="0: recognised, never shown.")] = UNSET
    sale_price: Annotated[
        Decimal | UnsetType | None, Meta(extra_json_schema={"type": ["string", "number", "null"]})
    ] = UNSET
    sale_to_s: Annotated[float | UnsetType | None, Meta(description="UNIX time at which the sale ends.")] = UNSET
    coupon: str | UnsetType | None = UNSET
    limit_per_buyer: int | UnsetType | None = UNSET
    photos: Annotated[Texts, Meta(description="Paths relative to the folder.")] = UNSET
    rooms: Annotated[Texts, Meta(description="Only there; null: everywhere.")] = UNSET
    threshold: Confidence | UnsetType | None = UNSET
    negatives: Annotated[Texts, Meta(description="Photos of what was taken for this product and is not it.")] = UNSET
    variants: Annotated[
        tuple[Variant, ...] | UnsetType, Meta(description="`livecart` makes price and stock of them.")
    ] = UNSET

    @property
    def price_text(self) -> str | None:
        """A text as it is, a number in the digits of the file: 12.90 read as a float would lose its last one.

        Raises:
            CatalogMistake: it is neither, or no price.
        """
        return _price(b"null" if self.price is UNSET else bytes(self.price))


class CatalogDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    schema: int
    products: list[CatalogEntry]


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document's frame; its products stay text, so that a price keeps the digits that were written."""

    schema: int
    products: list[Raw]


class CatalogMistake(ValueError):
    """A mistake in one product or in the file; ``key`` is the one at fault, where it is known."""

    def __init__(self, key: str | None, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def read_catalog(text: str, check: Callable[[CatalogEntry], None] = lambda _: None) -> list[CatalogEntry]:
    """The products in the order of the file, each sku once.

    Args:
        text: the file's.
        check: raises CatalogMistake for a product that the reader does not take.

    Raises:
        CatalogMistake: naming line, sku and key: not JSON of this schema, an unknown key, a sku that stands twice, a
            value that is empty or out of bounds, or what ``check`` found.
    """
    index_of: dict[str, int] = {}
    entries = []
    for index, raw in enumerate(_frame(text).products):
        try:
            entry = _entry(raw)
            _claim(entry.sku, index, index_of)
            check(entry)
        except CatalogMistake as mistake:
            raise CatalogMistake(mistake.key, f"{_place(text, index, raw, mistake.key)}: {mistake}") from mistake
        entries.append(entry)
    return entries


def _frame(text: str) -> _Frame:
    try:
        parse_object(text)
        frame = msgspec.json.decode(text, type=_Frame)
    except json.JSONDecodeError as error:
        raise CatalogMistake(None, f"line {error.lineno}: not JSON: {error.msg}") from error
    except DuplicateKeyError as error:
        line = line_of_duplicate(text, error.key)
        raise CatalogMistake(error.key, f"line {line}: key {error.key!r} stands twice") from error
    except msgspec.ValidationError as error:
        key = _key_in(error)
        place = f"line {line_of_key(text, key)}: key {key!r}: " if key else ""
        raise CatalogMistake(key, f"{place}{error}") from error
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise CatalogMistake(None, f"cannot be read as JSON: {error}") from error
    except ValueError as error:
        raise CatalogMistake(None, str(error)) from error
    if frame.schema != SCHEMA:
        line = line_of_key(text, "schema")
        raise CatalogMistake("schema", f"line {line}: key 'schema': {frame.schema}, only {SCHEMA} is known")
    return frame


def _entry(raw: Raw) -> CatalogEntry:
    try:
        entry = msgspec.json.decode(raw, type=CatalogEntry)
    except msgspec.MsgspecError as error:
        # Without its path, which the place in front of the message says already.
        raise CatalogMistake(_key_in(error), str(error).partition(" - at `$")[0]) from error
    for key in ("sku", "name"):
        if not getattr(entry, key).strip():
            raise CatalogMistake(key, "is empty")
    if entry.stock and entry.stock < 0:
        raise CatalogMistake("stock", f"{entry.stock} is below 0")
    for key in ("words", "labels", "photos", "negatives", "rooms"):
        if any(not text.strip() for text in getattr(entry, key) or ()):
            raise CatalogMistake(key, "holds an empty text")
    if len(entry.negatives or ()) > MOST_NEGATIVES:
        raise CatalogMistake("negatives", f"names {len(entry.negatives or ())} photos, more than {MOST_NEGATIVES}")
    _ = entry.price_text
    return entry


def _claim(sku: str, index: int, index_of: dict[str, int]) -> None:
    owner = index_of.setdefault(sku, index)
    if owner != index:
        raise CatalogMistake("sku", f"product {owner + 1} of the file has this sku already")


def _price(written: bytes) -> str | None:
    if written[:1] == b'"':
        return msgspec.json.decode(written, type=str)
    if written == b"null":
        return None
    if written[:1] not in b"-0123456789":
        raise CatalogMistake("price", f"is {written.decode()[:40]}, expected a number or a string")
    text = written.decode("ascii")
    if text.startswith("-"):
        raise CatalogMistake("price", f"{text} is below 0")
    if "e" not in text.lower():
        return text
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise CatalogMistake("price", f"{text[:40]} is no price") from error
    # Written out, 1e99999 would be a page of zeros.
    if abs(number.adjusted()) > 30:
        raise CatalogMistake("price", f"{text[:40]} is no price")
    return format(number, "f")


def _key_in(error: Exception) -> str | None:
    match = _KEY_IN_MESSAGE.search(str(error))
    return (match[1] or match[2]) if match else None


def _place(text: str, index: int, raw: Raw, key: str | None) -> str:
    """Line, sku and key of product ``index``, as far as they are known."""
    start, end = _span(text, index)
    inner = line_of_key(text[start:end], key) if key else 1
    try:
        sku = json.loads(bytes(raw)).get("sku")
    except AttributeError:
        sku = None
    named = f"sku {sku!r}" if isinstance(sku, str) and sku.strip() else f"product {index + 1}"
    return f"line {text.count(chr(10), 0, start) + inner}: {named}" + (f": key {key!r}" if key else "")


def _span(text: str, index: int) -> tuple[int, int]:
    """Start and end of product ``index``. Those before it are sound, so each is one object of depth 2."""
    depth, start = 0, 0
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            depth += 1
            if depth == 2:
                start, index = match.start(), index - 1
        elif match[0] == "}":
            if depth == 2 and index < 0:
                return start, match.end()
            depth -= 1
    return start, len(text)
