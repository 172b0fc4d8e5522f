"""From what files and feeds hold, text or number, to the fields of a patch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from livecart.catalog.money import parse_price
from livecart.catalog.values import PATCH_FIELDS, ProductPatch
from livecart.errors import InvalidValue

#: In a list of rooms: for no room. An empty one is for every room.
NO_ROOM = "none"
_SEPARATORS = "|;；、\n"
_YES = frozenset({"1", "true", "yes", "y", "on", "是", "在售", "上架", "in_stock", "in stock"})
_NO = frozenset({"0", "false", "no", "n", "off", "否", "停售", "下架", "out_of_stock", "out of stock"})
_LISTS = frozenset({"words", "labels", "rooms"})


def to_patch(values: Mapping[str, Any], where: str) -> ProductPatch:
    """A patch of named values. A name that is not given is left as it is; an empty value clears its field.

    An empty `on_sale` says nothing: it is left as it is.

    Raises:
        InvalidValue: naming `where` and the field: a value that cannot be understood, or no sku.
    """
    try:
        sku = _sku(values.get("sku"))
        given = [name for name in PATCH_FIELDS if name in values]
        if "on_sale" in given and _text(values["on_sale"]) == "":
            given.remove("on_sale")
        fields = {name: _field(name, values[name]) for name in given}
        return ProductPatch(sku=sku, **fields)
    except InvalidValue as error:
        raise InvalidValue(error.field, error.reason, where=where) from error


def _sku(value: Any) -> str:
    sku = _text(value)
    if not sku:
        raise InvalidValue("sku", "is missing")
    return sku


def _field(name: str, value: Any) -> Any:
    if name in _LISTS:
        return _list(name, value)
    if name == "on_sale":
        return _yes_or_no(value)
    text = _text(value)
    if name in {"name", "url"}:
        return text
    if not text:
        return None
    if name == "price":
        return parse_price(text)
    if name == "stock":
        return _whole(name, text)
    if name == "threshold":
        return _number(name, text)
    return text


def _text(value: Any) -> str:
    """Spreadsheets make 1001.0 of a sku and 12.9 of a price."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str | int | Decimal):
        return str(value).strip()
    raise InvalidValue("value", f"{str(value)[:40]!r} is neither text nor a number")


def _list(name: str, value: Any) -> tuple[str, ...] | None:
    if isinstance(value, list | tuple):
        return tuple(_text(entry) for entry in value)
    text = _text(value)
    if name == "rooms" and text == NO_ROOM:
        return ()
    if not text:
        return None if name == "rooms" else ()
    if text.startswith("["):
        try:
            entries = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidValue(name, f"{text[:40]!r} starts like a JSON list and is none") from error
        return tuple(_text(entry) for entry in entries)
    for separator in _SEPARATORS:
        text = text.replace(separator, "|")
    return tuple(entry.strip() for entry in text.split("|") if entry.strip())


def _yes_or_no(value: Any) -> bool:
    text = _text(value).casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise InvalidValue("on_sale", f"{text[:40]!r} is neither yes (1, true, 是) nor no (0, false, 否)")


def _whole(name: str, text: str) -> int:
    try:
        number = Decimal(text)
        if number.is_finite() and number == number.to_integral_value() and abs(number) < 10**12:
            return int(number)
    except ArithmeticError:
        pass
    raise InvalidValue(name, f"{text[:40]!r} is no whole number")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidValue(name, f"{text[:40]!r} is no number") from error
    if not math.isfinite(number):
        raise InvalidValue(name, f"{text[:40]!r} is no number")
    return number
