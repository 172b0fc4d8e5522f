"""A shop on a platform as a feed: its list is read whole, details only of what changed.

What a feed does not name goes off sale. So an answer that is not understood is no empty page, a list that changed while
it was paged is read again, and a product that it lacks and that was there before is looked at by itself.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from livecart.core.printable import printable
from livecart.shop.connectors.details import Details
from livecart.shop.connectors.platform_client import AnswerUnclear, PlatformClient, PlatformRefused
from livecart.shop.connectors.platform_items import Item, SkuFrom, patch_of, skus_of
from livecart.shop.connectors.token_pairs import TokenPair, Tokens, read_secret
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.schemas.product import ProductPatch
from livecart.shop.sync.source import Feed, Page, Validators, page_of

_MOST_PAGES = 2000
_PER_PAGE = 1000
#: Pages for the syncer, which show that the reading is alive, after so many details.
_DETAILS_PER_PAGE = 10
#: Details in a row that are refused or not understood: it is no longer about one product.
_MOST_REFUSED = 20
#: Cursor of pages that hold nothing yet; a reading that was cut off begins anew, with the details that it has.
_READING = "reading"

_ITEM_ID = re.compile(r"[0-9]{1,32}")


class PlatformFeed(Feed, frozen=True, kw_only=True):
    """What the feed of every platform has."""

    #: A folder of this feed alone, for its tokens and the details that it has read.
    folder: str
    #: Whose id is a product's sku: `<platform>:<id>`, or the shop's own id, where it has one that no other product has.
    sku_from: SkuFrom = "item_id"

    def secret(self, name: str) -> str:
        """The secret that the key `name` names."""
        return read_secret(getattr(self, name), self.name)

    def token_file(self) -> Path:
        return Path(self.folder) / "tokens.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A product in the list. Its detail is read where `stamp` is another than before; "": each time."""

    item_id: str
    stamp: str = ""
    outer_id: str = ""
    #: Where the list says all there is.
    item: Item | None = None
    #: Else it was, the last time.
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of the list.

    Attributes:
        entries: its products.
        following: cursor of the next page; None: it was the last. Not looked at once `total` products were named.
        total: products of the whole list, where the platform says it.
        pages: pages of the whole list, where the platform says that instead.
    """

    entries: list[Entry]
    following: str | None
    total: int | None = None
    pages: int | None = None


class Checked(msgspec.Struct):
    """What one look at a feed told. `fields`: those that a product has in the list, and in its detail."""

    total: int | None
    skew_s: float | None
    fields: dict[str, list[str]]
    token_ends_at_s: float | None
    first: ProductPatch | None
    problem: str | None = None


class _ListMoved(Exception):
    """The list has another length than when its first page was read."""


@dataclass
class _Read:
    """What is known of the shop's products, as far as they were read."""

    items: dict[str, Item] = field(default_factory=dict)
    #: Reason by item id.
    refused: dict[str, FeedError] = field(default_factory=dict)


class PlatformSource(ABC):
    """A `Source`; a platform's own says how to ask and what the answers mean."""

    #: Of offers, and before the platform's ids in skus.
    platform: ClassVar[str]
    #: The platform lists no more, or not in an order that holds.
    most_items: ClassVar[int] = 10_000
    #: Details are read again after so long: where the list does not show the stock, its time may not move with it.
    details_age_s: ClassVar[float] = float("inf")

    def __init__(self, feed: PlatformFeed, client: PlatformClient, tokens: Tokens | None) -> None:
        self.name = feed.name
        self._feed = feed
        self._client = client
        self._tokens = tokens
        self._fields: dict[str, list[str]] = {}

    @abstractmethod
    def list_page(self, cursor: str | None) -> ListPage:
        """A page of the products on sale."""

    @abstractmethod
    def detail(self, entry: Entry, before: Item | None) -> Item:
        """The product of an entry. `before`: as it was when it was read last.

        Raises:
            PlatformRefused: the platform does not give this one.
            AnswerUnclear: what it gives is not understood.
        """

    def close(self) -> None:
        self._client.close()

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """Pages that hold nothing while the platform is asked, then all products."""
        if cursor is not None:
            # Products of a reading that was cut off may have gone since.
            yield Page([], _READING, begins_anew=True)
        details = Details(Path(self._feed.folder) / "details.sqlite")
        try:
            known = details.ids()
            entries = yield from self._list()
            if not known:
                # Nothing tells what was skipped: a second reading does, most likely.
                entries |= yield from self._list()
            # Pages by number skip a product where one before it goes: what is listed no more is looked at.
            entries |= {item_id: Entry(item_id, is_listed=False) for item_id in known - entries.keys()}
            read = yield from self._read(entries, details)
            details.keep_only(read.items)
        except sqlite3.Error as error:
            raise FeedError("details_unusable", where=self._feed.folder, cause=str(error)) from error
        finally:
            details.close()
        yield from self._products(read)

    def check(self) -> Checked:
        """One call for the list and one for its first product; nothing is kept but a renewed token."""
        listing = self.list_page(None)
        checked = Checked(listing.total, None, self._fields, None, None)
        if listing.entries:
            entry = listing.entries[0]
            item = entry.item or self.detail(entry, None)
            patch = self._patch(item, self._skus({item.item_id: item}))
            checked.first = patch if isinstance(patch, ProductPatch) else None
            checked.problem = None if isinstance(patch, ProductPatch) else str(patch)
        checked.skew_s = self._client.skew_s
        pair = None if self._tokens is None else self._tokens.pair
        # The refresh token's end is the one that needs a person.
        checked.token_ends_at_s = (pair.refresh_expires_at_s or pair.expires_at_s or None) if pair else None
        return checked

    def saw(self, where: Literal["list", "detail"], product: object) -> None:
        """Notes the fields of a product, for `check`: what an app is not granted is left out of them."""
        if isinstance(product, dict) and where not in self._fields:
            self._fields[where] = sorted(printable(str(name)[:64]) for name in product)

    def renewed_by(self, pair: TokenPair | None, ask: Callable[[str], TokenPair]) -> TokenPair:
        """The pair that `ask` gets by the refresh token.

        Raises:
            FeedError: a person has to authorise the app anew.
        """
        where = str(self._feed.token_file())
        if pair is None or not pair.refresh_token:
            raise FeedError("tokens_missing", where=where)
        self._client.hide(pair.refresh_token)
        try:
            return ask(pair.refresh_token)
        except PlatformRefused as error:
            raise FeedError("tokens_void", where=where, said=error.text()) from error

    def _list(self) -> Generator[Page, None, dict[str, Entry]]:
        try:
            return (yield from self._list_once())
        except _ListMoved:
            pass
        try:
            return (yield from self._list_once())
        except _ListMoved:
            raise FeedError("list_moved", where=self.name) from None

    def _list_once(self) -> Generator[Page, None, dict[str, Entry]]:
        entries: dict[str, Entry] = {}
        announced: tuple[int | None, int | None] | None = None
        cursor: str | None = None
        asked: set[str] = set()
        for _ in range(_MOST_PAGES):
            page = self.list_page(cursor)
            if announced not in (None, (page.total, page.pages)):
                raise _ListMoved
            announced = (page.total, page.pages)
            if page.total is not None and page.total > self.most_items:
                raise FeedError("list_too_long", where=self.name, total=page.total, most=self.most_items)
            for entry in page.entries:
                # It becomes a part of addresses and skus.
                if not _ITEM_ID.fullmatch(entry.item_id):
                    raise FeedError("list_item_malformed", where=self.name, id=printable(entry.item_id)[:40])
                if entry.item_id in entries:
                    raise FeedError("list_item_twice", where=self.name, id=entry.item_id)
                entries[entry.item_id] = entry
            is_whole = page.total is not None and len(entries) >= page.total
            if is_whole or page.following is None:
                break
            if not page.entries:
                raise FeedError("list_page_empty", where=self.name, found=len(entries))
            if page.following in asked:
                raise FeedError("feed_goes_round", where=self.name)
            asked.add(page.following)
            cursor = page.following
            yield Page([], _READING)
        else:
            raise FeedError("feed_too_many_pages", where=self.name, most=_MOST_PAGES)
        if page.total is not None and len(entries) != page.total:
            raise FeedError("list_too_short", where=self.name, total=page.total, found=len(entries))
        return entries

    def _read(self, entries: dict[str, Entry], details: Details) -> Generator[Page, None, _Read]:
        read = _Read()
        asked = refused = 0
        for entry in entries.values():
            item_id, before = entry.item_id, details.get(entry.item_id, None, Item)
            now_s = self._client.clock()
            # A clock that was ahead must not keep a detail for as long.
            fresh_s = (now_s - self.details_age_s, now_s)
            item = details.get(item_id, entry.stamp, Item, between_s=fresh_s) if entry.stamp else None
            # One that is listed is on sale, whatever it was.
            if item is None or not item.on_sale or entry.item not in (None, item):
                if entry.item is None:
                    asked += 1
                    if asked % _DETAILS_PER_PAGE == 0:
                        yield Page([], _READING)
                try:
                    item = entry.item or self._detail(entry, before)
                    refused = 0
                except (PlatformRefused, AnswerUnclear) as error:
                    if not entry.is_listed:
                        continue
                    refused += 1
                    # Else its product, whose sku nobody knows, would go off sale.
                    is_lost = before is None and self._feed.sku_from == "outer_id" and not entry.outer_id
                    if is_lost or refused >= _MOST_REFUSED:
                        raise
                    read.refused[item_id] = error
                    item = before or Item(item_id, "", "", (), "", outer_id=entry.outer_id)
                else:
                    details.put(item_id, entry.stamp, item, self._client.clock())
            if entry.is_listed or item.on_sale:
                read.items[item_id] = item
        return read

    def _detail(self, entry: Entry, before: Item | None) -> Item:
        item = self.detail(entry, before)
        if item.item_id != entry.item_id:
            raise AnswerUnclear("answer_unknown", where=self.name, cause="another product", keys="id")
        return item

    def _products(self, read: _Read) -> Iterator[Page]:
        skus = self._skus(read.items)
        ids = list(read.items)
        for start in range(0, max(len(ids), 1), _PER_PAGE):
            is_last = start + _PER_PAGE >= len(ids)
            part = ids[start : start + _PER_PAGE]
            products = [self._patch(read.items[item_id], skus) for item_id in part if item_id not in read.refused]
            page = page_of(products, None if is_last else _READING)
            for item_id in read.refused.keys() & part:
                page.bad.append(str(read.refused[item_id]))
                page.bad_skus.append(skus[item_id])
            yield page

    def _skus(self, items: dict[str, Item]) -> dict[str, str]:
        return skus_of(items, self.platform, self._feed.sku_from)

    def _patch(self, item: Item, skus: dict[str, str]) -> ProductPatch | InvalidValue:
        return patch_of(item, self.platform, skus, f"{self.name}: {item.item_id}")
