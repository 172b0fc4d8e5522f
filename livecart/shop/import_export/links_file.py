"""product_links.json: in and out without a loss.

Plain form `{"螺蛳粉": "https://…"}` and extended form, where the value is an object. Key, form and order of an imported
file are kept beside each product, so that what comes out is what went in, and what staff changed since.

The file knows sku, name, labels, url, price, currency, rooms and threshold. Stock, brand, words and photos are not its
business: an import leaves them as they are.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from contract import json_lines
from livecart.shop.errors import FeedError
from livecart.shop.import_export.columns import to_patch
from livecart.shop.models.products import ProductRow
from livecart.shop.repositories import bulk, products
from livecart.shop.repositories.bulk import Upserted
from livecart.shop.schemas.product import Product, ProductPatch, to_json

_FIELDS = ("url", "sku", "name", "labels", "threshold", "price", "currency", "rooms")
_LISTS = ("labels", "rooms")
_TEXTS = ("url", "sku", "name", "price", "currency")


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """One entry of the file. `form` is what a product keeps of it: key, place, and the fields that were written."""

    patch: ProductPatch
    form: dict[str, Any]


def read_links(text: str, where: str = "product_links.json") -> list[LinkEntry]:
    """Read a links file; the links themselves are checked when they are stored.

    Raises:
        FeedError: not a JSON object of links, a field that is unknown, of a wrong type or no price, a sku twice.
    """
    entries = []
    owners: dict[str, str] = {}
    for place, (key, value) in enumerate(_parsed(text, where).items()):
        entry = _entry(key, value, place, f"{where}: key {key!r}")
        owner = owners.setdefault(entry.patch.sku, key)
        if owner != key:
            raise FeedError("sku_of_another_key", where=f"{where}: key {key!r}", sku=entry.patch.sku, owner=owner)
        entries.append(entry)
    return entries


def import_links(session: Session, text: str, where: str = "product_links.json") -> Upserted:
    """Create and change what the file names, in this transaction; what it does not name stays."""
    entries = read_links(text, where)
    done = bulk.upsert(session, [entry.patch for entry in entries])
    if entries:
        table = ProductRow.__table__
        session.connection().execute(
            sql_update(ProductRow).where(table.c.sku == bindparam("of_sku")).values(link_form=bindparam("form")),
            [{"of_sku": entry.patch.sku, "form": entry.form} for entry in entries],
        )
    return done


def export_links(session: Session) -> str:
    """The whole catalog as a links file; of one moment in a `Store.read(consistent=True)`."""
    query = select(ProductRow.sku, ProductRow.link_form)
    forms: dict[str, dict[str, Any] | None] = dict(session.execute(query).all())
    every = list(products.every(session))
    # Imported ones in their file's order, then the others in theirs: sorting is stable.
    every.sort(key=lambda product: (forms.get(product.sku) or {}).get("place", len(every)))
    taken = {form["key"] for form in forms.values() if form}
    document: dict[str, Any] = {}
    for product in every:
        form = forms.get(product.sku)
        if form is None or form["key"] in document:
            form = {"key": _free_key(product, taken), "fields": {"sku": False, "labels": False}}
            taken.add(form["key"])
        document[form["key"]] = _value(product, form["key"], form.get("fields"))
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        return json_lines.parse_object(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise FeedError("json_malformed", where=f"{where}: line {error.lineno}", cause=error.msg) from error
    except json_lines.DuplicateKeyError as error:
        line = json_lines.line_of_duplicate(text, error.key)
        raise FeedError("json_key_twice", where=f"{where}: line {line}", key=error.key) from error
    except json_lines.NotAnObjectError as error:
        raise FeedError("json_not_an_object", where=where, found=error.found) from error
    except (RecursionError, ValueError) as error:
        raise FeedError("json_unreadable", where=where, cause=str(error)) from error


def _entry(key: str, value: Any, place: int, where: str) -> LinkEntry:
    if not key.strip():
        raise FeedError("key_empty", where=where)
    plain = isinstance(value, str)
    given = {"url": value} if plain else value
    if not isinstance(given, dict):
        raise FeedError("not_a_link", where=where)
    for name, field in given.items():
        _check_type(name, field, where)
    if not given.get("url"):
        raise FeedError("url_missing", where=where)
    values = {
        **_defaults(key),
        **{name: field for name, field in given.items() if field is not None},
        "sku": given.get("sku") or key,
        "name": given.get("name") or key,
    }
    patch = to_patch(values, where)
    fields = None if plain else {name: field is None for name, field in given.items()}
    return LinkEntry(patch, {"key": key, "place": place, "fields": fields})


def _check_type(name: str, value: Any, where: str) -> None:
    if name not in _FIELDS:
        raise FeedError("field_unknown", where=where, names=name, known=", ".join(_FIELDS))
    if value is None:
        return
    if name in _TEXTS and not isinstance(value, str):
        raise FeedError("not_a_text", where=where, field=name)
    if name in _LISTS and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
        raise FeedError("not_texts", where=where, field=name)


def _defaults(key: str) -> dict[str, Any]:
    return {"sku": key, "name": key, "labels": [key], "threshold": None, "price": None, "currency": None, "rooms": None}


def _value(product: Product, key: str, written: dict[str, bool] | None) -> Any:
    """The entry's value: what was written, and what differs from what is meant without saying."""
    actual = {name: list(value) if isinstance(value, tuple) else value for name, value in to_json(product).items()}
    defaults = _defaults(key)
    differing = [name for name in _FIELDS if name != "url" and actual[name] != defaults[name]]
    if written is None and not differing:
        return product.url
    names = [*(written or {"url": False})]
    names += [name for name in ("url", *differing) if name not in names]
    was_null = {name for name, null in (written or {}).items() if null}
    return {name: None if name in was_null and name not in differing else actual[name] for name in names}


def _free_key(product: Product, taken: set[str]) -> str:
    for key in (product.name, f"{product.name} ({product.sku})", product.sku):
        if key not in taken:
            return key
    number = 2
    while f"{product.sku} ({number})" in taken:
        number += 1
    return f"{product.sku} ({number})"
