"""A feed of JSON over HTTP: which field is which, and how its pages follow, stand in the settings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.printable import is_printable
from livecart.shop.errors import FeedError
from livecart.shop.import_export.encodings import decode_text
from livecart.shop.import_export.rows import RowReader
from livecart.shop.schemas.product import PATCH_FIELDS
from livecart.shop.sync.http_fetch import Fetched, Fetcher, HttpFeed, HttpSource, same_server, without_query
from livecart.shop.sync.source import NO_VALIDATORS, Page, Validators, page_of

_MOST_PAGES = 10_000
_OF_VARIANTS = ("sku", "name", "price", "stock", "image_url")
#: Decoding this takes a tenth of a second, in which all rooms and viewers of the process wait.
_PAGE_BYTES = 8 * 1024 * 1024


class Paging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The order of a feed's pages.

    Attributes:
        kind: `none`: one answer is all; `page`: a number in the query that grows; `cursor`: a text in each answer that
            the next request repeats; `link`: each answer names the next one's URL, in its body or a `Link` header.
        parameter: of the query: the page's number or the cursor.
        first: number of the first page.
        size_parameter: of the query, where the server wants to be told how many.
        size: how many products a page is asked to hold.
        next_path: dotted path of the next cursor or URL in the answer; empty: the `Link` header.
    """

    kind: Literal["none", "page", "cursor", "link"] = "none"
    parameter: str = "page"
    first: int = 1
    size_parameter: str | None = None
    size: int = 200
    next_path: str = ""


class HttpJsonSettings(HttpFeed, frozen=True, kw_only=True, tag="json"):
    """A feed of kind "json".

    Attributes:
        fields: field of a product to its dotted path in an item, such as `{"sku": "id", "price": "price.amount"}`;
            numbers in a path count in lists: `images.0.url`.
        items: dotted path of the list of items in an answer; empty: the answer is the list.
        variants: dotted path of the list of a product's variants in an item; empty: there are none.
        variant_fields: `sku` and, as far as they are there, `name`, `price`, `stock` and `image_url` to their dotted
            paths in one of that list.
        constants: field to value, for what the feed does not say: `{"currency": "CNY"}`.
        paging: how pages follow.
    """

    fields: dict[str, str]
    items: str = ""
    variants: str = ""
    variant_fields: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, str] = msgspec.field(default_factory=dict)
    paging: Paging = Paging()

    def source(self) -> HttpJsonSource:
        return HttpJsonSource(self)


class HttpJsonSource(HttpSource):
    def __init__(self, settings: HttpJsonSettings, *, fetcher: Fetcher | None = None) -> None:
        known = ("sku", *PATCH_FIELDS, "sale_to")
        unknown = sorted({*settings.fields, *settings.constants} - {*known} | {*settings.fields} & {"sale_to_s"})
        if unknown or "sku" not in settings.fields:
            problem = f"unknown field {', '.join(unknown)}" if unknown else "no path for sku"
            raise SettingsError(f"feed {settings.name}: {problem}; known are {', '.join(known)}")
        within = settings.variant_fields
        if settings.variants and not ("sku" in within and within.keys() <= set(_OF_VARIANTS)):
            raise SettingsError(f"feed {settings.name}: variant_fields names sku, and of {', '.join(_OF_VARIANTS)}")
        if urlsplit(settings.url).scheme not in {"https", "http"} or not urlsplit(settings.url).hostname:
            raise SettingsError(f"feed {settings.name}: url must be https://… or http://…")
        super().__init__(settings, fetcher, accept="application/json", most_bytes=_PAGE_BYTES)
        self._settings = settings

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """Validators are of the first page alone; a feed of several pages is read in any case."""
        paged = self._settings.paging.kind != "none"
        asked: set[str] = set()
        reader = RowReader()
        before = b""
        for _ in range(_MOST_PAGES):
            url = self._url(cursor)
            if url in asked:
                raise FeedError("feed_goes_round", where=without_query(url))
            asked.add(url)
            body = io.BytesIO()
            fetched = self._fetcher.get(url, body, validators=NO_VALIDATORS if paged else validators)
            if fetched.unchanged:
                yield Page([], unchanged=True)
                return
            page = self._page(body.getvalue(), fetched, cursor, reader)
            if page.patches and body.getvalue() == before:
                raise FeedError("feed_pages_equal", where=without_query(url), paging=str(self._settings.paging))
            before = body.getvalue()
            yield page
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
        raise FeedError("feed_too_many_pages", where=without_query(self._settings.url), most=_MOST_PAGES)

    def _url(self, cursor: str | None) -> str:
        paging = self._settings.paging
        if paging.kind == "link" and cursor is not None:
            return cursor
        added: dict[str, str] = {}
        if paging.kind == "page":
            added[paging.parameter] = cursor or str(paging.first)
        elif paging.kind == "cursor" and cursor is not None:
            added[paging.parameter] = cursor
        if paging.size_parameter:
            added[paging.size_parameter] = str(paging.size)
        parts = urlsplit(self._settings.url)
        kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in added]
        return urlunsplit(parts._replace(query=urlencode([*kept, *added.items()])))

    def _page(self, body: bytes, fetched: Fetched, cursor: str | None, reader: RowReader) -> Page:
        shown = without_query(fetched.url)
        try:
            # Decimals: 12.90 read as a float would lose its last digit.
            answer = json.loads(decode_text(body, shown, fetched.charset), parse_float=Decimal)
        except (ValueError, RecursionError, ArithmeticError) as error:
            raise FeedError("feed_not_json", where=shown) from error
        items = at_path(answer, self._settings.items)
        if not isinstance(items, list):
            raise FeedError("feed_without_list", where=shown, path=self._settings.items or "its top")
        entries = []
        for number, item in enumerate(items, 1):
            values = {name: at_path(item, path) for name, path in self._settings.fields.items()}
            if self._settings.variants:
                values["variants"] = self._variants(item)
            entries.append(reader.read(self._settings.constants | values, f"{shown}: item {number}"))
        return page_of(entries, self._next(answer, items, fetched, cursor), fetched.validators)

    def _variants(self, item: Any) -> Any:
        """By field; what is no list as it is, to be refused."""
        listed = at_path(item, self._settings.variants)
        fields = self._settings.variant_fields
        if listed is not None and not isinstance(listed, list):
            return listed
        return [{name: at_path(each, path) for name, path in fields.items()} for each in listed or ()]

    def _next(self, answer: Any, items: list[Any], fetched: Fetched, cursor: str | None) -> str | None:
        paging = self._settings.paging
        if paging.kind == "page":
            return str(int(cursor or paging.first) + 1) if items else None
        if paging.kind == "none":
            return None
        following = at_path(answer, paging.next_path) if paging.next_path else fetched.next_url
        if following in (None, "", False):
            return None
        malformed = FeedError("feed_next_malformed", where=without_query(fetched.url), path=paging.next_path)
        text = str(following)
        if not (isinstance(following, str | int) and is_printable(text)):
            raise malformed
        if paging.kind == "cursor":
            return text
        try:
            url = urljoin(fetched.url, text)
            is_ours = same_server(url, self._settings.url)
        except ValueError as error:
            raise malformed from error
        if not is_ours:
            # It would be sent the token that is meant for the configured server.
            raise FeedError("feed_next_elsewhere", where=without_query(fetched.url), url=without_query(url))
        return url


def at_path(value: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    for step in path.split(".") if path else []:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value
