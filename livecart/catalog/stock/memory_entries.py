"""Entries in this process's memory, the least recently used dropped first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from livecart.catalog.stock.entry import Entry


class MemoryEntries:
    """For one process. Other processes' edits are seen when the age is over."""

    def __init__(self, *, most_entries: int = 200_000) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._most_entries = most_entries
        self._lock = threading.Lock()
        self._generation = 0

    def get(self, sku: str) -> Entry | None:
        """See `EntryCache.get`."""
        with self._lock:
            entry = self._entries.get(sku)
            if entry is not None:
                self._entries.move_to_end(sku)
            return entry

    def put(self, entry: Entry, generation: int) -> None:
        """See `EntryCache.put`. One count for all products: an edit makes a few readings in vain, and costs nothing."""
        with self._lock:
            if generation != self._generation:
                return
            self._entries[entry.sku] = entry
            self._entries.move_to_end(entry.sku)
            while len(self._entries) > self._most_entries:
                self._entries.popitem(last=False)

    def generation(self, sku: str) -> int:
        """See `EntryCache.generation`."""
        with self._lock:
            return self._generation

    def drop(self, skus: frozenset[str]) -> None:
        """See `EntryCache.drop`."""
        with self._lock:
            self._generation += 1
            for sku in skus:
                self._entries.pop(sku, None)

    def try_lock(self, sku: str) -> bool:
        """See `EntryCache.try_lock`: within a process `StockCache` sees to it."""
        return True

    def unlock(self, sku: str) -> None:
        """See `EntryCache.unlock`."""

    def close(self) -> None:
        """See `EntryCache.close`."""
        with self._lock:
            self._entries.clear()
