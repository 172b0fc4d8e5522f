"""A row of a table or an item of a feed, as people and their programs write it, made exact (docs/tables.md)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from contract.catalog import Variant
from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.cells import NumberCell, Verbatim, clean_text, read_sku
from livecart.shop.import_export.columns import to_patch
from livecart.shop.import_export.groups import Groups, as_variant
from livecart.shop.import_export.prices import currency_of, price_and_currency
from livecart.shop.import_export.stock import read_stock
from livecart.shop.schemas.product import ProductPatch, is_image_url

#: The key, and beside the fields of a patch: a lower price, from when until when, whether there is any, and of which
#: product it is which variant.
_MORE_FIELDS = frozenset({"sku", "sale_price", "sale_from", "sale_to", "in_stock", "item_group_id", "spec"})
#: A comma may also be part of one.
_BETWEEN_URLS = re.compile(r"\s+|(?<![,;|，；、])[,;|，；、]+(?=(?:https?:)?//)")
_BETWEEN_FILES = re.compile(r"[\n\r,;|，；、]")
_MOST_URLS_CHARS = 50_000
#: A picture's file name ends so.
IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif"})
_SCHEME = re.compile(r"^(https?:)?//", re.IGNORECASE)


def read_row(
    values: Mapping[str, Any], where: str, at: datetime | None = None, *, point_is_decimal: bool = False
) -> ProductPatch:
    """A patch of one row or item; what is not named stays as it is, what is empty is cleared.

    Args:
        values: field to text, number, list, or a cell of a spreadsheet; also `sale_price`, `sale_from`, `sale_to` and
            `in_stock`.
        where: for the message.
        at: when: a sale counts from its beginning to its end. None: now.
        point_is_decimal: as of `read_price`.

    Raises:
        InvalidValue: naming `where` and the field; its `sku` is the row's, where that can be read.
    """
    sku = ""
    try:
        sku = read_sku(values.get("sku"))
        exact = {name: _field(name, value) for name, value in values.items() if name not in _MORE_FIELDS}
        if "in_stock" in values:
            there = read_stock(values["in_stock"])
            exact["stock"] = 0 if there == 0 else exact.get("stock", there)
        price_and_currency(values, exact, at, point_is_decimal)
        if isinstance(listed := values.get("variants"), list | tuple):
            exact["variants"] = [_variant(each, exact) for each in listed]
    except InvalidValue as error:
        error.where, error.sku = where, sku
        raise
    try:
        return to_patch(exact | {"sku": sku}, where)
    except InvalidValue as error:
        error.sku = sku
        raise


@dataclass
class RowReader:
    """Reads the rows of one file or feed, a bad one of which ends nothing.

    A sku that an earlier row spells in another way (`1001`, `1001.0`) is refused: the rows may be of two products.

    Attributes:
        at: as of `read_row`.
        point_is_decimal: as of `read_price`.
        files: of pictures, by product, that good rows named so far.
    """

    at: datetime | None = None
    point_is_decimal: bool = False
    files: dict[str, list[str]] = field(default_factory=dict)
    #: By sku, as its first good row has it.
    _spelled: dict[str, str] = field(default_factory=dict)
    _groups: Groups = field(default_factory=Groups)

    def read(self, values: Mapping[str, Any], where: str) -> ProductPatch | InvalidValue | None:
        """A row; None: it is of a group, whose product comes with `groups`."""
        group_id = ""
        try:
            group_id = read_sku(values.get("item_group_id"))
            patch = read_row(values, where, self.at, point_is_decimal=self.point_is_decimal)
        except InvalidValue as error:
            # The product is named, so that it stays as it is where no row of it is good.
            error.where, error.sku = where, group_id or error.sku
            return error
        written = values["sku"]
        spelled = str(written).strip() if isinstance(written, str | int | Decimal) else patch.sku
        if self._spelled.setdefault(patch.sku, spelled) != spelled:
            return InvalidValue("sku", "sku_twice", where=where, sku=patch.sku)
        if files := image_files(values.get("image_urls")):
            self.files.setdefault(group_id or patch.sku, []).extend(files)
        return self._groups.add(group_id, patch, _specs(values.get("spec")), where) if group_id else patch

    def groups(self) -> Iterator[ProductPatch]:
        """Products of the groups, when all rows are read."""
        return self._groups.products()


def image_urls(value: Any) -> list[str]:
    """Addresses of pictures in a cell, a list of texts, or of objects with `src` or `url`; what is none is left out.

    A shop that writes `http:` or no scheme is asked by https.
    """
    found = []
    for each in value if isinstance(value, list | tuple) else [value]:
        text = each.get("src") or each.get("url") if isinstance(each, Mapping) else each
        try:
            cleaned = clean_text("image_urls", text)[:_MOST_URLS_CHARS]
        except InvalidValue:
            continue
        for part in _BETWEEN_URLS.split(cleaned.strip()):
            url = _SCHEME.sub("https://", part.strip(",;|，；、"), count=1)
            if is_image_url(url):
                found.append(url)
    return found


def _variant(each: Any, exact: dict[str, Any]) -> Variant:
    """An entry of a product's list; of `exact` it has the currency, or says which."""
    if isinstance(each, Variant):
        return each
    values = dict(each)
    values |= {"currency": exact.get("currency"), "image_urls": values.pop("image_url", None)}
    try:
        patch = read_row(values, "")
    except InvalidValue as error:
        raise InvalidValue("variants", "variant", sku=str(each.get("sku"))[:40], cause=error.text()) from error
    if patch.currency:
        exact["currency"] = patch.currency
    return as_variant(patch)


def _specs(value: Any) -> tuple[str, ...]:
    return tuple(clean_text("spec", each).strip() for each in (value if isinstance(value, list | tuple) else [value]))


def image_files(value: Any) -> list[str]:
    """Names of picture files in a cell, beside or instead of addresses."""
    if not isinstance(value, str):
        return []
    parts = (part.strip() for part in _BETWEEN_FILES.split(value[:_MOST_URLS_CHARS]))
    return [part for part in parts if "://" not in part and PurePosixPath(part).suffix.casefold() in IMAGE_ENDINGS]


def _field(name: str, value: Any) -> Any:
    if name == "image_urls":
        return image_urls(value)
    if name == "stock":
        return read_stock(value)
    if name == "currency":
        text = clean_text(name, value).strip()
        return currency_of(text) or text.upper()
    if name == "price":
        # With its currency, below.
        return None
    if name == "threshold" and isinstance(value, NumberCell):
        return value.plain()
    if isinstance(value, list | tuple):
        if name in ("offers", "variants"):
            return value
        return tuple(clean_text(name, each) for each in value)
    if name in ("words", "labels", "rooms", "offers", "variants") and not isinstance(value, Verbatim):
        # Lines separate; the others are cleaned when the list is taken apart.
        return "\n".join(
            clean_text(name, line) for line in (str(value).splitlines() if isinstance(value, str) else [value])
        )
    return clean_text(name, value)
