"""A feed as pages of products, each with the cursor to go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeAlias

import msgspec

from livecart.core.errors import SettingsError
from livecart.shop.errors import InvalidValue
from livecart.shop.schemas.product import ProductPatch

_PER_PAGE = 1000
#: As of `RowReader.read`.
Entry: TypeAlias = ProductPatch | InvalidValue | None


@dataclass(frozen=True, slots=True)
class Validators:
    """ETag and Last-Modified of a feed, for conditional requests (RFC 9110, section 13)."""

    etag: str | None = None
    last_modified: str | None = None


NO_VALIDATORS = Validators()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a feed. `next_cursor` None: it was the last. `bad` says what is wrong with entries that are none."""

    patches: list[ProductPatch]
    next_cursor: str | None = None
    bad: list[str] = field(default_factory=list)
    validators: Validators = NO_VALIDATORS
    #: Skus of bad entries: the feed names them, so that they stay as they are.
    bad_skus: list[str] = field(default_factory=list)
    #: Nothing has changed since the validators that were given; the page is empty.
    unchanged: bool = False
    #: The pages of this reading that were kept before it count no more.
    begins_anew: bool = False


class Guard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where on a feed is not believed: shares of the products on sale that it owns, and of its entries."""

    most_missing_share: float = 0.3
    most_bad_share: float = 0.2
    #: Below so many owned products any share may go: a new shop's first steps.
    from_products: int = 10

    def __post_init__(self) -> None:
        if not (0 <= self.most_missing_share <= 1 and 0 <= self.most_bad_share <= 1):
            raise SettingsError("sync guard: shares must be between 0 and 1")


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """`[[catalog.feeds]]`: what every kind of feed has. `name` is who its products are owned by."""

    name: str
    #: Seconds from the end of one reading to the start of the next.
    every_s: float = 300.0
    guard: Guard = Guard()

    def source(self) -> Source:
        """The feed, to be read.

        Raises:
            SettingsError: it cannot be read so.
        """
        raise NotImplementedError


class Source(Protocol):
    """A feed. `name` is what its products are owned by, at most 64 characters."""

    @property
    def name(self) -> str:
        """Of the settings."""

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """The feed from its start, or from `cursor` on, to its end.

        Args:
            cursor: `next_cursor` of the last page that was kept; None: from the start.
            validators: of the last complete reading; empty: read it in any case.

        Raises:
            FeedError: it does not answer, or what it answers is no such feed.
        """

    def close(self) -> None:
        """End what is being read, from any thread; nothing is read any more."""


def page_of(entries: Iterable[Entry], next_cursor: str | None, validators: Validators = NO_VALIDATORS) -> Page:
    """A page of what was read: products, and what is wrong with entries that are none."""
    page = Page([], next_cursor, validators=validators)
    for entry in entries:
        if isinstance(entry, ProductPatch):
            page.patches.append(entry)
        elif entry is not None:
            page.bad.append(str(entry))
            page.bad_skus.extend([entry.sku] if entry.sku else [])
    return page


def in_pages(
    entries: Iterable[Entry],
    kept: int,
    validators: Callable[[], Validators],
    cursor_at: Callable[[int], str] = str,
) -> Iterator[Page]:
    """Pages of a feed that is one file, after the first `kept` entries.

    `cursor_at` makes a cursor of their count; `validators` is asked when a page was read.
    """
    rest = islice(entries, kept, None)
    is_last = False
    while not is_last:
        part = list(islice(rest, _PER_PAGE))
        kept += len(part)
        is_last = len(part) < _PER_PAGE
        yield page_of(part, None if is_last else cursor_at(kept), validators())
