"""A feed as Google Merchant Center takes it, RSS 2.0 or Atom with the namespace g:, as most shop systems export."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, iterparse

from livecart.shop.errors import FeedError
from livecart.shop.import_export.encodings import Recoded
from livecart.shop.import_export.rows import RowReader
from livecart.shop.sync.http_fetch import Fetcher, HttpFeed, HttpSource, without_query
from livecart.shop.sync.source import NO_VALIDATORS, Page, Validators, in_pages

#: https://support.google.com/merchants/answer/160589: the namespace of every attribute.
_G = "{http://base.google.com/ns/1.0}"
_ATOM = "{http://www.w3.org/2005/Atom}"
_ITEMS = ("item", f"{_ATOM}entry")
_MOST_BYTES = 512 * 1024 * 1024
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_ITEM_TEXTS = 500
#: https://support.google.com/merchants/answer/6324507: what the items of a group may differ in.
_VARIES_BY = ("color", "size", "pattern", "material", "age_group", "gender")
_IMAGES = ("image_link", "additional_image_link")
#: Of an item, and of what stands before it. Google takes some 10 KB of texts.
_ITEM_BYTES = 1024 * 1024


class MerchantXmlSettings(HttpFeed, frozen=True, kw_only=True, tag="merchant"):
    """A feed of kind "merchant"."""

    def source(self) -> MerchantXmlSource:
        return MerchantXmlSource(self)


class MerchantXmlSource(HttpSource):
    """A feed of Google Merchant Center.

    Read as: g:id sku; g:title name; g:link url; g:brand brand; g:price price and currency, or g:sale_price while
    g:sale_price_effective_date says so, if that is less; g:availability: what is not in stock has stock 0, what is
    one that is not counted; g:image_link and g:additional_image_link are its pictures; items of one g:item_group_id
    are variants of one product, wherever they stand, named by colour, size and so on; g:product_type and
    g:google_product_category are not used.
    """

    def __init__(self, settings: MerchantXmlSettings, *, fetcher: Fetcher | None = None) -> None:
        super().__init__(settings, fetcher, accept="application/xml, text/xml", most_bytes=_MOST_BYTES)
        self._settings = settings
        self._has_sale_dates = False

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """After a kill the file is fetched anew, and its items up to `cursor` are skipped."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            fetched = self._fetcher.get(self._settings.url, body, validators=validators)  # type: ignore[arg-type]
            if fetched.unchanged:
                yield Page([], unchanged=True)
                return
            body.seek(0)
            where = without_query(self._settings.url)
            items = enumerate(self._items(body, fetched.charset), 1)
            reader = RowReader()
            singles = (reader.read(values, f"{where}: item {number}") for number, values in items)
            entries = chain(singles, reader.groups())
            # A sale begins and ends without a new file.
            yield from in_pages(
                entries, int(cursor or 0), lambda: NO_VALIDATORS if self._has_sale_dates else fetched.validators
            )

    def _items(self, body: IO[bytes], charset: str | None) -> Iterator[dict[str, Any]]:
        """One item at a time: what was read is let go of, so that a large feed needs no memory."""
        where = without_query(self._settings.url)
        source = _Bounded(Recoded(body, where, charset))
        self._has_sale_dates = False
        parents: list[Element] = []
        #: Items that are open: one may hold others, which are not looked at.
        within = 0
        try:
            for event, element in iterparse(source, events=("start", "end"), parser=_utf8_parser()):
                is_item = element.tag in _ITEMS
                if event == "start":
                    parents.append(element)
                    within += is_item
                    continue
                parents.pop()
                within -= is_item
                if within:
                    continue
                if is_item:
                    values = _values(element)
                    self._has_sale_dates = self._has_sale_dates or "sale_from" in values
                    yield values
                    source.since_item = 0
                element.clear()
                if parents:
                    parents[-1].remove(element)
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise FeedError("feed_not_xml", where=where, cause=type(error).__name__) from error


def _utf8_parser() -> DefusedXMLParser:
    """Whatever encoding the XML declares: it was recoded."""
    return DefusedXMLParser(target=TreeBuilder(), encoding="utf-8", forbid_dtd=True)


class _Bounded:
    """A file that is read no further than `_ITEM_BYTES` without an item: the parser keeps what is open."""

    def __init__(self, file: Recoded) -> None:
        self._file = file
        self.since_item = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.since_item += len(data)
        if self.since_item > _ITEM_BYTES:
            raise ValueError("an item is too long")
        return data


def _values(item: Element) -> dict[str, Any]:
    texts: dict[str, str] = {}
    images: list[str] = []
    for child in list(item)[:_ITEM_TEXTS]:
        name = child.tag.removeprefix(_G).removeprefix(_ATOM)
        text = (child.text or child.get("href") or "").strip()
        if name in _IMAGES:
            images.append(text)
        # g:title wins over title: it is the one that is meant for shops.
        if child.tag.startswith(_G) or name not in texts:
            texts[name] = text
    values: dict[str, Any] = {
        "sku": texts.get("id", ""),
        "name": texts.get("title", ""),
        "url": texts.get("link", ""),
        "in_stock": texts.get("availability", ""),
    }
    if texts.get("item_group_id"):
        values |= {"item_group_id": texts["item_group_id"], "spec": [texts.get(name, "") for name in _VARIES_BY]}
    values |= {name: texts[name] for name in ("brand", "price", "sale_price") if texts.get(name)}
    if images:
        values["image_urls"] = images
    if "price" in values or "sale_price" in values:
        values["currency"] = None
    dates = texts.get("sale_price_effective_date")
    if dates and "sale_price" in values:
        values["sale_from"], _, values["sale_to"] = dates.partition("/")
    return values
