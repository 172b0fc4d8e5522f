"""A feed as Google Merchant Center takes it, RSS 2.0 or Atom with the namespace g:, as most shop systems export."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from livecart.catalog.sync.http_fetch import Fetcher, without_query
from livecart.catalog.sync.source import Page, Validators
from livecart.catalog.transfer.fields import to_patch
from livecart.catalog.values import ProductPatch
from livecart.errors import FeedError, InvalidValue

#: https://support.google.com/merchants/answer/160589: the namespace of every attribute.
_G = "{http://base.google.com/ns/1.0}"
_ATOM = "{http://www.w3.org/2005/Atom}"
_ITEMS = ("item", f"{_ATOM}entry")
#: "12.90 CNY"; some shops write "CNY 12.90", or no currency.
_PRICE = re.compile(r"\s*(?:([A-Za-z]{3})\s+)?([0-9]+(?:\.[0-9]+)?)(?:\s*([A-Za-z]{3}))?\s*")
_SOLD_OUT = frozenset({"out of stock", "out_of_stock", "preorder", "backorder"})
_MOST_BYTES = 512 * 1024 * 1024
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_PER_PAGE = 1000
_ITEM_TEXTS = 500


class MerchantXmlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feed: `headers_from_env` names the environment variable that holds each header's value."""

    name: str
    url: str
    headers: dict[str, str] = {}
    headers_from_env: dict[str, str] = {}


class MerchantXmlSource:
    """See `MerchantXmlSettings`.

    Read as: g:id sku; g:title name; g:link url; g:brand brand; g:sale_price, else g:price, price and currency;
    g:availability: what is not in stock has stock 0, anything else a stock that is not counted; g:product_type and
    g:google_product_category are not used.
    """

    def __init__(self, settings: MerchantXmlSettings, *, fetcher: Fetcher | None = None) -> None:
        """Opens no connection.

        Raises:
            SettingsError: a token is not there.
        """
        self._settings = settings
        self._fetcher = fetcher or Fetcher(
            headers={"Accept": "application/xml, text/xml", **settings.headers},
            headers_from_env=settings.headers_from_env,
            most_bytes=_MOST_BYTES,
        )

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return self._settings.name

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """See `Source.pages`. After a kill the file is fetched anew, and its items up to `cursor` are skipped."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            fetched = self._fetcher.get(self._settings.url, body, validators=validators)  # type: ignore[arg-type]
            if fetched.unchanged:
                yield Page([], unchanged=True)
                return
            body.seek(0)
            yield from self._pages(body, int(cursor or 0), fetched.validators)

    def close(self) -> None:
        """Close its connections."""
        self._fetcher.close()

    def _pages(self, body: IO[bytes], kept: int, validators: Validators) -> Iterator[Page]:
        patches: list[ProductPatch] = []
        bad: list[str] = []
        for number, values in enumerate(self._items(body), 1):
            if number <= kept:
                continue
            try:
                patches.append(to_patch(values, f"{without_query(self._settings.url)}: item {number}"))
            except InvalidValue as error:
                bad.append(str(error))
            if len(patches) + len(bad) == _PER_PAGE:
                yield Page(patches, str(number), bad, validators)
                patches, bad = [], []
        yield Page(patches, None, bad, validators)

    def _items(self, body: IO[bytes]) -> Iterator[dict[str, Any]]:
        """One item at a time: what was read is let go of, so that a large feed needs no memory."""
        parents: list[Element] = []
        try:
            for event, element in iterparse(body, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    parents.append(element)
                    continue
                parents.pop()
                if element.tag in _ITEMS:
                    yield _values(element)
                if element.tag in _ITEMS or not any(parent.tag in _ITEMS for parent in parents):
                    element.clear()
                    if parents:
                        parents[-1].remove(element)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise FeedError(f"{without_query(self._settings.url)}: is no such XML: {type(error).__name__}") from error


def _values(item: Element) -> dict[str, Any]:
    texts: dict[str, str] = {}
    for child in list(item)[:_ITEM_TEXTS]:
        name = child.tag.removeprefix(_G).removeprefix(_ATOM)
        text = (child.text or child.get("href") or "").strip()
        # g:title wins over title: it is the one that is meant for shops.
        if child.tag.startswith(_G) or name not in texts:
            texts[name] = text
    values: dict[str, Any] = {
        "sku": texts.get("id", ""),
        "name": texts.get("title", ""),
        "url": texts.get("link", ""),
        "stock": 0 if texts.get("availability", "").casefold() in _SOLD_OUT else None,
    }
    if "brand" in texts:
        values["brand"] = texts["brand"]
    written = texts.get("sale_price") or texts.get("price")
    if written:
        match = _PRICE.fullmatch(written)
        values["price"] = match[2] if match else written
        values["currency"] = ((match[1] or match[3] or "").upper() if match else "") or None
    return values
