"""Answers between two readings of the database: kept in this process's memory, or in Redis."""

import threading
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from cachetools import TTLCache

from livecart.shop.availability.product import ProductAvailability

_MOST_ENTRIES = 100_000
#: An entry's age is judged by who reads it. This end comes just after, and holds though the clock was set back.
_MARGIN_S = 0.1


@dataclass(frozen=True)
class Found:
    """Entries that no edit has outdated; and, for `put`, how many edits there had been."""

    entries: dict[str, ProductAvailability] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)


class Entries(Protocol):
    """May be used by any number of threads. What fails raises `CacheUnavailable`."""

    def get(self, skus: Sequence[str]) -> Found:
        """Return what is kept of the products. Ask before the database is read: `put` takes `edits`."""

    def put(self, entries: Sequence[ProductAvailability], edits: dict[str, str]) -> None:
        """Keep them, but for those whose products were edited since `get`."""

    def drop(self, skus: Set[str] | None) -> None:
        """Forget edited products, and what readers that are under way are about to put; None: all of them."""

    def close(self) -> None:
        """Give back connections."""


class CacheUnavailable(Exception):
    """The cache does not answer now; the database is asked instead."""


class MemoryEntries:
    """For one process, which hears of other processes' edits when it reads again."""

    def __init__(self, *, keep_s: float, monotonic_s: Callable[[], float], most_entries: int = _MOST_ENTRIES) -> None:
        self._entries: TTLCache[str, ProductAvailability] = TTLCache(
            most_entries, keep_s + _MARGIN_S, timer=monotonic_s
        )
        #: One count for all products: an edit makes a few readings in vain, and costs nothing.
        self._edits = 0
        self._lock = threading.Lock()

    def get(self, skus: Sequence[str]) -> Found:
        with self._lock:
            known = {sku: entry for sku in skus if (entry := self._entries.get(sku)) is not None}
            return Found(known, dict.fromkeys(skus, str(self._edits)))

    def put(self, entries: Sequence[ProductAvailability], edits: dict[str, str]) -> None:
        with self._lock:
            for entry in entries:
                if edits.get(entry.sku) == str(self._edits):
                    self._entries[entry.sku] = entry

    def drop(self, skus: Set[str] | None) -> None:
        with self._lock:
            self._edits += 1
            for sku in list(self._entries) if skus is None else skus:
                self._entries.pop(sku, None)

    def close(self) -> None:
        self._entries.clear()
