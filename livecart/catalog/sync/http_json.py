"""A feed of JSON over HTTP: which field is which, and how its pages follow, stand in the settings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from livecart.catalog.sync.http_fetch import Fetched, Fetcher, same_server, without_query
from livecart.catalog.sync.source import NO_VALIDATORS, Page, Validators
from livecart.catalog.transfer.fields import to_patch
from livecart.catalog.values import PATCH_FIELDS
from livecart.errors import FeedError, InvalidValue, SettingsError

_MOST_PAGES = 10_000
_PAGE_BYTES = 64 * 1024 * 1024


class Paging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pages follow.

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


class HttpJsonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feed.

    Attributes:
        name: who its products are owned by.
        url: https, or http to a host of one's own.
        fields: field of a product to its dotted path in an item, such as `{"sku": "id", "price": "price.amount"}`;
            numbers in a path count in lists: `images.0.url`.
        items: dotted path of the list of items in an answer; empty: the answer is the list.
        constants: field to value, for what the feed does not say: `{"currency": "CNY"}`.
        headers: sent with each request.
        headers_from_env: header to the environment variable that holds its value.
        paging: how pages follow.
    """

    name: str
    url: str
    fields: dict[str, str]
    items: str = ""
    constants: dict[str, str] = {}
    headers: dict[str, str] = {}
    headers_from_env: dict[str, str] = {}
    paging: Paging = Paging()


class HttpJsonSource:
    """See `HttpJsonSettings`."""

    def __init__(self, settings: HttpJsonSettings, *, fetcher: Fetcher | None = None) -> None:
        """Opens no connection.

        Raises:
            SettingsError: an unknown field, no field for the sku, a URL that is none, a token that is not there.
        """
        unknown = sorted({*settings.fields, *settings.constants} - {"sku", *PATCH_FIELDS})
        if unknown or "sku" not in settings.fields:
            told = f"unknown field {', '.join(unknown)}" if unknown else "no path for sku"
            raise SettingsError(f"feed {settings.name}: {told}; known are sku, {', '.join(PATCH_FIELDS)}")
        if urlsplit(settings.url).scheme not in {"https", "http"} or not urlsplit(settings.url).hostname:
            raise SettingsError(f"feed {settings.name}: url must be https://… or http://…")
        self._settings = settings
        self._fetcher = fetcher or Fetcher(
            headers={"Accept": "application/json", **settings.headers},
            headers_from_env=settings.headers_from_env,
            most_bytes=_PAGE_BYTES,
        )

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return self._settings.name

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """See `Source.pages`. Validators are of the first page alone; a feed of several pages is read in any case."""
        paged = self._settings.paging.kind != "none"
        asked: set[str] = set()
        before = b""
        for _ in range(_MOST_PAGES):
            url = self._url(cursor)
            if url in asked:
                raise FeedError(f"{without_query(url)}: the feed's pages go round in a circle")
            asked.add(url)
            body = io.BytesIO()
            fetched = self._fetcher.get(url, body, validators=NO_VALIDATORS if paged else validators)
            if fetched.unchanged:
                yield Page([], unchanged=True)
                return
            page = self._page(body.getvalue(), fetched, cursor)
            if page.patches and body.getvalue() == before:
                raise FeedError(f"{without_query(url)}: every page is the same; is {self._settings.paging} right?")
            before = body.getvalue()
            yield page
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
        raise FeedError(f"{without_query(self._settings.url)}: has more than {_MOST_PAGES} pages")

    def close(self) -> None:
        """Close its connections."""
        self._fetcher.close()

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

    def _page(self, body: bytes, fetched: Fetched, cursor: str | None) -> Page:
        shown = without_query(fetched.url)
        try:
            # Decimals: 12.90 read as a float would lose its last digit.
            answer = json.loads(body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise FeedError(f"{shown}: answers with something that is no JSON") from error
        items = at_path(answer, self._settings.items)
        if not isinstance(items, list):
            raise FeedError(f"{shown}: holds no list at {self._settings.items or 'its top'!r}")
        patches, bad = [], []
        for number, item in enumerate(items, 1):
            values = {name: at_path(item, path) for name, path in self._settings.fields.items()}
            try:
                patches.append(to_patch(self._settings.constants | values, f"{shown}: item {number}"))
            except InvalidValue as error:
                bad.append(str(error))
        return Page(patches, self._next(answer, items, fetched, cursor), bad, fetched.validators)

    def _next(self, answer: Any, items: list[Any], fetched: Fetched, cursor: str | None) -> str | None:
        paging = self._settings.paging
        if paging.kind == "page":
            return str(int(cursor or paging.first) + 1) if items else None
        if paging.kind == "none":
            return None
        following = at_path(answer, paging.next_path) if paging.next_path else fetched.next_url
        if following in (None, "", False):
            return None
        if not isinstance(following, str | int):
            raise FeedError(f"{without_query(fetched.url)}: {paging.next_path!r} is neither text nor a number")
        if paging.kind == "cursor":
            return str(following)
        url = urljoin(fetched.url, str(following))
        if not same_server(url, self._settings.url):
            # It would be sent the token that is meant for the configured server.
            raise FeedError(f"{without_query(fetched.url)}: its next page is on another server: {without_query(url)}")
        return url


def at_path(value: Any, path: str) -> Any:
    """What stands at a dotted path, None where nothing does."""
    for step in path.split(".") if path else []:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value
