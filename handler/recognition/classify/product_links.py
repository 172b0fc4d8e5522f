"""``product_links.json``: which product a label or a product name leads to.

Plain form, ``{"螺蛳粉": "https://shop.example.com/item/1001"}``, and extended form, where the value is an object with
the fields of ``LinkFields``. Both may stand in one file. Every link is checked when the file is read, so that a page
can open what a reply holds without looking at it again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from contract.json_lines import DuplicateKeyError, line_of_duplicate, line_of_key, parse_object
from contract.links import check_link
from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct


class LinkFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The extended form's value. ``labels`` defaults to the key; without ``rooms`` the product is for all rooms."""

    url: str
    sku: str | None = None
    name: str | None = None
    labels: list[str] | None = None
    threshold: float | None = None
    price: str | None = None
    currency: str | None = None
    rooms: list[str] | None = None


def load_links(path: Path, *, allowed_hosts: Sequence[str]) -> list[CatalogProduct]:
    """Read and check a links file.

    ``allowed_hosts`` holds host names, ``host:port`` where the port is not 443, and ``*.example.com`` for every host
    below ``example.com``.

    Raises:
        ConfigurationError: naming file, line and key, for anything that is not a JSON object of https links to
            allowed hosts with distinct keys and distinct skus.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read product links: {error}") from error
    try:
        data = parse_object(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except DuplicateKeyError as error:
        line = line_of_duplicate(text, error.key)
        raise ConfigurationError(f"{path}: line {line}: key {error.key!r} stands twice") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return [_checked(path, text, key, value, allowed_hosts) for key, value in _distinct_skus(path, text, data)]


def link_fault(url: str, *, allowed_hosts: Sequence[str]) -> str | None:
    """The reason why a viewer may not see ``url``, or None; names the setting that would allow its host."""
    fault = check_link(url, allowed_hosts)
    if fault is None or fault.code != "link_host_not_allowed":
        return fault and str(fault)
    listed = ", ".join(allowed_hosts) or "empty"
    return f"host {fault.value!r} is not in allowed_hosts of model-config.yaml ({listed})"


def _distinct_skus(path: Path, text: str, data: dict[str, Any]) -> list[tuple[str, Any]]:
    owner: dict[str, str] = {}
    for key, value in data.items():
        sku = (value.get("sku") if isinstance(value, dict) else None) or key
        if isinstance(sku, str) and owner.setdefault(sku, key) != key:
            line = line_of_key(text, key)
            raise ConfigurationError(f"{path}: line {line}: key {key!r}: sku {sku!r} belongs to {owner[sku]!r} already")
    return list(data.items())


def _checked(path: Path, text: str, key: str, value: Any, allowed_hosts: Sequence[str]) -> CatalogProduct:
    def fail(reason: str) -> ConfigurationError:
        return ConfigurationError(f"{path}: line {line_of_key(text, key)}: key {key!r}: {reason}")

    if not key.strip():
        raise fail("the key is empty; it must be a label or a product name")
    try:
        fields = LinkFields(url=value) if isinstance(value, str) else msgspec.convert(value, LinkFields)
    except msgspec.ValidationError as error:
        raise fail(str(error)) from error
    try:
        msgspec.json.encode((key, fields))
    except UnicodeEncodeError as error:
        raise fail("holds half a surrogate pair, which no reply can carry") from error
    reason = link_fault(fields.url, allowed_hosts=allowed_hosts)
    if reason:
        raise fail(reason)
    if fields.threshold is not None and not 0.0 <= fields.threshold <= 1.0:
        raise fail(f"threshold {fields.threshold} is not between 0 and 1")
    return CatalogProduct(
        sku=fields.sku or key,
        name=fields.name or key,
        url=fields.url,
        labels=tuple(fields.labels) if fields.labels is not None else (key,),
        threshold=fields.threshold,
        price=fields.price,
        currency=fields.currency,
        rooms=None if fields.rooms is None else tuple(fields.rooms),
    )
