"""Between a product and the form that edits it: every value as the form holds it, and what was changed since."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette_admin.exceptions import FormValidationError

from livecart.shop.admin.texts import refusal, t
from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.columns import cell_of, parse_field
from livecart.shop.schemas.product import PATCH_FIELDS, Product, ProductPatch

#: Of a form, beside the sku.
FORM_FIELDS = (*PATCH_FIELDS, "all_rooms")
_LISTS = ("words", "labels", "rooms")
_SWITCHES = ("on_sale", "all_rooms")
Values = dict[str, Any]


class Base(msgspec.Struct, frozen=True):
    """The values and version that a form was filled with; they travel with the form."""

    version: int
    values: Values


def values_of(product: Product) -> Values:
    """The product as the form holds it: texts, switches and lists."""
    given = {name: getattr(product, name) for name in PATCH_FIELDS} | {"all_rooms": product.rooms is None}
    values: Values = {}
    for name, value in given.items():
        if name in _LISTS:
            values[name] = list(value or ())
        elif name in _SWITCHES:
            values[name] = value
        elif name in ("offers", "variants", "image_urls", "sale_to_s"):
            values[name] = cell_of(name, value)
        else:
            values[name] = "" if value is None else f"{value:g}" if name == "threshold" else str(value)
    return values


def base_of(product: Product) -> str:
    return msgspec.json.encode(Base(product.version, values_of(product))).decode()


def read_base(text: str) -> Base | None:
    """The same, read back; None where it is not what we wrote."""
    try:
        return msgspec.json.decode(text, type=Base)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def posted(data: Mapping[str, Any]) -> Values:
    """The form's values in the form of `values_of`, from what the library read of it."""
    values: Values = {}
    for name in FORM_FIELDS:
        value = data.get(name)
        if name in _LISTS:
            values[name] = [text.strip() for text in value or () if text.strip()]
        elif name in _SWITCHES:
            values[name] = bool(value)
        else:
            values[name] = "\n".join(str(value or "").split("\r\n")).strip()
    return values


def patch_of(sku: str, values: Values, before: Values | None) -> ProductPatch:
    """The patch to write: of an edit, only what differs from `before`.

    Raises:
        FormValidationError: numbers that are none, by field.
    """
    errors: dict[str | int, Any] = {}
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name in {"all_rooms", "rooms"} or (before is not None and before.get(name) == value):
            continue
        try:
            given[name] = parse_field(name, value)
        except InvalidValue as error:
            errors[error.field] = refusal(error)
    if before is None or _rooms(before) != _rooms(values):
        given["rooms"] = _rooms(values)
    if errors:
        raise FormValidationError(errors)
    return ProductPatch(sku=sku, **given)


def weigh(base: Values, mine: Values, theirs: Values) -> tuple[Values, dict[str | int, Any]]:
    """After somebody else's change: the values to show, and beside which fields to say what the other wrote.

    What only they changed becomes theirs; what both changed stays mine. Every field that they changed is marked.
    """
    shown: Values = {}
    marks: dict[str | int, Any] = {}
    for name in FORM_FIELDS:
        shown[name] = theirs[name] if mine[name] == base.get(name) else mine[name]
        if theirs[name] not in (base.get(name), mine[name]):
            marks[name] = t("conflict_field", value=_said(theirs[name]))
    return shown, marks


def _rooms(values: Values) -> tuple[str, ...] | None:
    return None if values.get("all_rooms") else tuple(values.get("rooms", ()))


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, list):
        value = "、".join(value)
    return str(value) or t("empty_value")
