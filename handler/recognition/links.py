"""``product_links.json``: which product a label or a product name leads to.

Plain form, ``{"螺蛳粉": "https://shop.example.com/item/1001"}``, and extended form, where the value is an object with
the fields of ``LinkFields``. Both may stand in one file. Every link is checked when the file is read, so that a page
can open what a reply holds without looking at it again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from recognition.errors import ConfigurationError
from recognition.json_lines import DuplicateKeyError, line_of_duplicate, line_of_key, parse_object

#: Python's idna lets everything through that is ASCII; "evil.com%2f.example.com" is no host of anybody's.
#: Unicode Technical Standard 46, table 4: ß, ς, zero-width joiner and non-joiner.
_DEVIATING = "\u00df\u03c2\u200d\u200c"
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


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


@dataclass(frozen=True)
class LinkedProduct:
    """A product that ``product_links.json`` knows. ``threshold`` is 0..1 or None for the archive's own."""

    sku: str
    name: str
    url: str
    labels: tuple[str, ...]
    threshold: float | None = None
    price: str | None = None
    currency: str | None = None
    rooms: frozenset[str] | None = None

    def in_room(self, room: str | None) -> bool:
        """Whether the product may be shown in ``room``; a request without a room may show them all."""
        return room is None or self.rooms is None or room in self.rooms


def load_links(path: Path, *, allowed_hosts: Sequence[str]) -> list[LinkedProduct]:
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


def check_url(url: str, *, allowed_hosts: Sequence[str]) -> str | None:
    """Why ``url`` may not be shown to a viewer, or None if it may."""
    # Browsers drop tabs and newlines inside a link and read "\\" as "/": such a link is not what it looks like.
    if not url.isprintable() or any(character in url for character in " \\\"'<>`"):
        return "the link has spaces, quotes, angle brackets, backslashes or control characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"not a link: {error}"
    if parts.scheme != "https":
        return f"only https links are allowed, this one is {parts.scheme or 'relative'!r}"
    if not host:
        return "the link has no host"
    if parts.username is not None or parts.password is not None:
        return "a link must not hold a user name or password"
    if not _host_allowed(host, port, allowed_hosts):
        shown = host if port in (None, 443) else f"{host}:{port}"
        return f"host {shown!r} is not in allowed_hosts of model-config.yaml ({', '.join(allowed_hosts) or 'empty'})"
    return None


def _host_allowed(host: str, port: int | None, allowed_hosts: Sequence[str]) -> bool:
    actual = (_ascii_host(host), 443 if port is None else port)
    if actual[0] is None:
        return False
    for pattern in allowed_hosts:
        name, _, wanted_port = pattern.partition(":")
        if actual[1] != int(wanted_port or 443):
            continue
        if name.startswith("*."):
            suffix = _ascii_host(name[2:])
            if suffix and actual[0].endswith("." + suffix):
                return True
        elif actual[0] == _ascii_host(name):
            return True
    return False


def _ascii_host(host: str) -> str | None:
    """Lower-case ASCII form, so that 例子.中国 equals its xn-- spelling; None where there is none.

    Python follows IDNA 2003, browsers UTS 46: the few characters that the two take for different hosts are refused.
    """
    if any(character in _DEVIATING for character in host):
        return None
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return name if _HOST_NAME.fullmatch(name) else None


def _distinct_skus(path: Path, text: str, data: dict[str, Any]) -> list[tuple[str, Any]]:
    owner: dict[str, str] = {}
    for key, value in data.items():
        sku = (value.get("sku") if isinstance(value, dict) else None) or key
        if isinstance(sku, str) and owner.setdefault(sku, key) != key:
            line = line_of_key(text, key)
            raise ConfigurationError(f"{path}: line {line}: key {key!r}: sku {sku!r} belongs to {owner[sku]!r} already")
    return list(data.items())


def _checked(path: Path, text: str, key: str, value: Any, allowed_hosts: Sequence[str]) -> LinkedProduct:
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
    reason = check_url(fields.url, allowed_hosts=allowed_hosts)
    if reason:
        raise fail(reason)
    if fields.threshold is not None and not 0.0 <= fields.threshold <= 1.0:
        raise fail(f"threshold {fields.threshold} is not between 0 and 1")
    return LinkedProduct(
        sku=fields.sku or key,
        name=fields.name or key,
        url=fields.url,
        labels=tuple(fields.labels) if fields.labels is not None else (key,),
        threshold=fields.threshold,
        price=fields.price,
        currency=fields.currency,
        rooms=frozenset(fields.rooms) if fields.rooms is not None else None,
    )
