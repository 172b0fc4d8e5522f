"""What every feed is to the rest: pages of products, and how to go on after the last one read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from livecart.catalog.values import ProductPatch


@dataclass(frozen=True, slots=True)
class Validators:
    """What a feed said of its state, for asking later whether it has another (RFC 9110, section 13)."""

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
    #: Nothing has changed since the validators that were given; the page is empty.
    unchanged: bool = False


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
