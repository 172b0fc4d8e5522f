"""The catalog of a shop: ``catalog.json`` and the photos beside it, read and checked whole.

A mistake in one product stops the reading with a message that says where it stands. Whether a photo can be decoded is
not looked at here: that costs more, and one broken file is no reason to go without a catalog.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath

import msgspec

from recognition.errors import ConfigurationError
from recognition.json_lines import DuplicateKeyError, line_of_duplicate, line_of_key, parse_object
from recognition.links import LinkedProduct, check_url
from recognition.settings import Confidence

CATALOG_FILE = "catalog.json"
SCHEMA = 1
#: Of one product. With more, its negatives would be all that a frame is compared with.
MOST_NEGATIVES = 5
#: Strings are matched whole, so that a brace inside one is never taken for a bracket of the document.
_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]')
_KEY_IN_MESSAGE = re.compile(r"`\$\.(\w+)|field `(\w+)`")
_NO_PRICE = msgspec.Raw(b"null")


class CatalogProduct(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product. ``photos`` are paths relative to the folder; without ``rooms`` (None) it is for all rooms.

    ``price`` is decimal digits as the shop wrote them, ``stock`` pieces (None: unknown), ``threshold`` 0..1 or None
    for the archive's own. ``negatives`` are photos of what was taken for it; ``negative_of`` is set of a shadow, which
    no catalog file names (negatives.py).
    """

    sku: str
    name: str
    url: str
    brand: str | None = None
    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    price: str | None = None
    currency: str | None = None
    stock: int | None = None
    photos: tuple[str, ...] = ()
    rooms: tuple[str, ...] | None = None
    threshold: float | None = None
    negatives: tuple[str, ...] = ()
    negative_of: str | None = None

    def in_room(self, room: str | None) -> bool:
        """Whether the product may be shown in ``room``; a request without a room may show them all."""
        return room is None or self.rooms is None or room in self.rooms


@dataclass(frozen=True)
class Catalog:
    """The products in the order of their file, each sku once."""

    products: tuple[CatalogProduct, ...]


class _Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product as it stands in the file."""

    sku: str
    name: str
    url: str
    brand: str | None = None
    words: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    price: msgspec.Raw = _NO_PRICE
    currency: str | None = None
    stock: int | None = None
    photos: tuple[str, ...] | None = None
    rooms: tuple[str, ...] | None = None
    threshold: Confidence | None = None
    negatives: tuple[str, ...] | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    products: list[msgspec.Raw]


class _Mistake(Exception):
    """What is wrong with one product, and which of its keys is at fault."""

    def __init__(self, key: str | None, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def load_catalog_folder(folder: Path, *, allowed_hosts: Sequence[str]) -> Catalog:
    """Read ``catalog.json`` of ``folder``; ``allowed_hosts`` as in ``links.load_links``.

    Raises:
        ConfigurationError: naming file, line, sku and key: not JSON of this schema, an unknown key, a sku that stands
            twice, a link that must not be shown, or a photo that is missing or outside the folder.
    """
    path = folder / CATALOG_FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read the catalog: {error}") from error
    photos = _Photos(folder)
    index_of: dict[str, int] = {}
    products = []
    for index, raw in enumerate(_document(path, text).products):
        try:
            product = _product(raw, allowed_hosts, photos)
            _claim(product.sku, index, index_of)
        except _Mistake as mistake:
            raise ConfigurationError(f"{path}: {_place(text, index, raw, mistake.key)}: {mistake}") from mistake
        products.append(product)
    return Catalog(tuple(products))


def catalog_of_links(products: Sequence[LinkedProduct]) -> Catalog:
    """The products of a links file, known by name and labels alone."""
    return Catalog(
        tuple(
            CatalogProduct(
                sku=product.sku,
                name=product.name,
                url=product.url,
                labels=product.labels,
                price=product.price,
                currency=product.currency,
                rooms=None if product.rooms is None else tuple(sorted(product.rooms)),
                threshold=product.threshold,
            )
            for product in products
        )
    )


def _document(path: Path, text: str) -> _Document:
    """The document's frame; its products stay text, so that a price keeps the digits that were written."""
    try:
        parse_object(text)
        document = msgspec.json.decode(text, type=_Document)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except DuplicateKeyError as error:
        line = line_of_duplicate(text, error.key)
        raise ConfigurationError(f"{path}: line {line}: key {error.key!r} stands twice") from error
    except msgspec.ValidationError as error:
        key = _key_in(error)
        place = f"line {line_of_key(text, key)}: key {key!r}: " if key else ""
        raise ConfigurationError(f"{path}: {place}{error}") from error
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ConfigurationError(f"{path}: cannot be read as JSON: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if document.schema != SCHEMA:
        line = line_of_key(text, "schema")
        raise ConfigurationError(f"{path}: line {line}: key 'schema': {document.schema}, only {SCHEMA} is known")
    return document


def _product(raw: msgspec.Raw, allowed_hosts: Sequence[str], photos: _Photos) -> CatalogProduct:
    try:
        fields = msgspec.json.decode(raw, type=_Fields)
    except msgspec.MsgspecError as error:
        raise _Mistake(_key_in(error), _told(error)) from error
    for key in ("sku", "name"):
        if not getattr(fields, key).strip():
            raise _Mistake(key, "is empty")
    if reason := check_url(fields.url, allowed_hosts=allowed_hosts):
        raise _Mistake("url", reason)
    if fields.stock is not None and fields.stock < 0:
        raise _Mistake("stock", f"{fields.stock} is below 0")
    for key in ("words", "labels", "photos", "negatives", "rooms"):
        if any(not entry.strip() for entry in getattr(fields, key) or ()):
            raise _Mistake(key, "holds an empty text")
    for key, names in (("photos", fields.photos), ("negatives", fields.negatives)):
        for name in names or ():
            if reason := photos.fault(name):
                raise _Mistake(key, f"{name!r} {reason}")
    if len(fields.negatives or ()) > MOST_NEGATIVES:
        raise _Mistake("negatives", f"names {len(fields.negatives or ())} photos, more than {MOST_NEGATIVES}")
    return CatalogProduct(
        sku=fields.sku,
        name=fields.name,
        url=fields.url,
        brand=fields.brand,
        words=fields.words or (),
        labels=fields.labels or (),
        price=_price(bytes(fields.price)),
        currency=fields.currency,
        stock=fields.stock,
        photos=fields.photos or (),
        rooms=fields.rooms,
        threshold=fields.threshold,
        negatives=fields.negatives or (),
    )


def _claim(sku: str, index: int, index_of: dict[str, int]) -> None:
    owner = index_of.setdefault(sku, index)
    if owner != index:
        raise _Mistake("sku", f"product {owner + 1} of the file has this sku already")


def _price(written: bytes) -> str | None:
    """A string as it is, a number in the digits of the file: 12.90 read as a float would lose its last one."""
    if written[:1] == b'"':
        return msgspec.json.decode(written, type=str)
    if written == b"null":
        return None
    if written[:1] not in b"-0123456789":
        raise _Mistake("price", f"is {written.decode()[:40]}, expected a number or a string")
    text = written.decode("ascii")
    if text.startswith("-"):
        raise _Mistake("price", f"{text} is below 0")
    if "e" not in text.lower():
        return text
    number = Decimal(text)
    # Written out, 1e99999 would be a page of zeros.
    if abs(number.adjusted()) > 30:
        raise _Mistake("price", f"{text} is no price")
    return format(number, "f")


class _Photos:
    """Says whether a photo's path may be used. Each folder on the way is looked at once, not once a photo."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = Path(os.path.realpath(folder))
        self._sound: dict[str, bool] = {}

    def fault(self, name: str) -> str | None:
        """Why ``name`` is no photo of this folder, or None."""
        path = PurePosixPath(name)
        if path.is_absolute() or "\\" in name or "\0" in name or ".." in path.parts:
            return "is not a plain path inside the folder"
        parent = str(path.parent)
        if parent not in self._sound:
            self._sound[parent] = self._inside(self._folder / parent)
        try:
            mode = os.lstat(self._folder / name).st_mode
            if stat.S_ISLNK(mode):
                self._sound[name] = self._inside(self._folder / name)
                mode = (self._folder / name).stat().st_mode
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if not self._sound[parent] or not self._sound.get(name, True):
            return "leads out of the folder"
        return None if stat.S_ISREG(mode) else "is not a file"

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)


def _key_in(error: Exception) -> str | None:
    match = _KEY_IN_MESSAGE.search(str(error))
    return (match[1] or match[2]) if match else None


def _told(error: Exception) -> str:
    """The message without the path, which the place in front of it says already."""
    return str(error).partition(" - at `$")[0]


def _place(text: str, index: int, raw: msgspec.Raw, key: str | None) -> str:
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
    """Where product ``index`` starts and ends. Those before it are sound, so each is one object of depth 2."""
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
