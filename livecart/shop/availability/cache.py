"""Availability of products that is never older than its bound, from a cache and one query for what it lacks.

    cache = open_cache("redis://127.0.0.1:6379/0", store)
    answer = cache.check(["1001"])["1001"]
    if answer.refusal is None: ...      # a card may be shown

A card may be shown only if the database said within the last `max_age_s` seconds that the product is on sale, not
sold out, and its link's host allowed.

| Redis | database | what happens |
|---|---|---|
| up | up | read through the cache, dropped from it by each edit |
| down | up | the database is asked each time |
| up | down | what the cache knows, until it is `max_age_s` old; then no card |
| down | down | no card |
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from livecart.shop.availability.entries import CacheUnavailable, Entries, Found
from livecart.shop.availability.product import ProductAvailability, at_time, read_availability
from livecart.shop.database.session import Change
from livecart.shop.database.store import Store
from livecart.shop.errors import StoreUnavailable

_log = logging.getLogger(__name__)
#: After a failure the database is left alone this long: the cache answers, or nothing does, at once.
_DATABASE_REST_S = 0.5
#: Clocks of two machines may differ by this before an entry "from the future" is not believed.
_CLOCK_SKEW_S = 0.5


@dataclass
class CacheStats:
    """Answers counted since the cache was opened, and failures."""

    hits: int = 0
    misses: int = 0
    cache_failures: int = 0
    database_failures: int = 0
    #: Answers "not_known": nothing fresh enough was known.
    too_old: int = 0
    #: Products gone, off sale, sold out, or with a link that is not allowed.
    not_sellable: int = 0


class AvailabilityCache:
    """May be used by any number of threads. It blocks while Redis or the database answer: not for an event loop."""

    def __init__(
        self,
        store: Store,
        entries: Entries,
        *,
        max_age_s: float = 5.0,
        now_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = CacheStats()
        self._store = store
        self._entries = entries
        self._max_age_s = max_age_s
        self._now_s = now_s
        self._monotonic_s = monotonic_s
        self._reading = threading.Lock()
        self._database_rests_until_s = 0.0
        self._unsubscribe = store.on_change(self._on_change)

    def check(self, skus: Iterable[str], *, refresh_after_s: float = math.inf) -> dict[str, ProductAvailability]:
        """An answer for each product, none older than `max_age_s`; its `refusal` is "not_known" where there is none.

        Never raises for a database or Redis that is away.

        Args:
            skus: of the products.
            refresh_after_s: what is known for longer is read again although it is young enough; if the database is
                away, it is taken as it is. So a product that is asked about often is never without an answer.
        """
        wanted = list(dict.fromkeys(skus))
        known = self._cached(wanted).entries
        old = self._to_read(wanted, known, refresh_after_s)
        self.stats.hits += len(wanted) - len(old)
        if old:
            with self._reading:
                # Of many who ask at once one reads; the others find here what it has put.
                again = self._cached(old)
                known |= again.entries
                known |= self._read(self._to_read(old, known, refresh_after_s), again.edits)
        return {sku: self._answer(sku, known.get(sku)) for sku in wanted}

    def close(self) -> None:
        """Stop listening to the store, and give connections back."""
        self._unsubscribe()
        self._entries.close()

    def _cached(self, skus: Sequence[str]) -> Found:
        """Entries that are young enough; no `edits` where the cache does not answer."""
        try:
            found = self._entries.get(skus)
        except CacheUnavailable:
            self.stats.cache_failures += 1
            return Found()
        return Found({sku: entry for sku, entry in found.entries.items() if self._is_fresh(entry)}, found.edits)

    def _to_read(self, skus: Sequence[str], known: dict[str, ProductAvailability], after_s: float) -> list[str]:
        now_s = self._now_s()
        return [sku for sku in skus if sku not in known or now_s - known[sku].read_at_s > after_s]

    def _read(self, skus: Sequence[str], edits: dict[str, str]) -> dict[str, ProductAvailability]:
        """From the database, for the cache too; nothing where the database is away."""
        if not skus or self._monotonic_s() < self._database_rests_until_s:
            return {}
        self.stats.misses += len(skus)
        read_at_s = self._now_s()
        try:
            with self._store.read() as session:
                entries = read_availability(session, skus, read_at_s)
        except StoreUnavailable:
            self.stats.database_failures += 1
            self._database_rests_until_s = self._monotonic_s() + _DATABASE_REST_S
            return {}
        if edits:
            try:
                self._entries.put(entries, edits)
            except CacheUnavailable:
                self.stats.cache_failures += 1
        return {entry.sku: entry for entry in entries}

    def _answer(self, sku: str, entry: ProductAvailability | None) -> ProductAvailability:
        # Looked at once more: a database that hung may have used up the age of what was known.
        if entry is None or not self._is_fresh(entry):
            self.stats.too_old += 1
            return ProductAvailability(sku=sku, read_at_s=self._now_s(), refusal="not_known")
        if entry.refusal is not None:
            self.stats.not_sellable += 1
        return at_time(entry, self._now_s())

    def _is_fresh(self, entry: ProductAvailability) -> bool:
        return -_CLOCK_SKEW_S <= self._now_s() - entry.read_at_s <= self._max_age_s

    def _on_change(self, change: Change) -> None:
        if not (change.skus or change.link_hosts):
            return
        try:
            self._entries.drop(None if change.link_hosts else change.skus)
        except CacheUnavailable:
            self.stats.cache_failures += 1
            _log.warning("the catalog changed while Redis is away; it is told when it is back")
