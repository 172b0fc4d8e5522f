"""Link, price and stock of a product, quickly: what stands between a decision and a card.

    cache = open_cache("redis://127.0.0.1:6379/0", store)
    confirmed = cache.confirm("1001")      # None: no card

A product is confirmed only if the database said within the last `max_age_s` seconds that it is on sale, not sold out,
and its link's host allowed.

| Redis | database | what happens |
|---|---|---|
| up | up | read through the cache, dropped from it by each edit |
| down | up | the database is asked for each look-up |
| up | down | what the cache knows, until it is `max_age_s` old; then nothing is confirmed |
| down | down | nothing is confirmed |
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from livecart.catalog.database.session import Change
from livecart.catalog.database.store import Store
from livecart.catalog.stock.entry import CacheUnavailable, Confirmed, Entry, EntryCache, Refusal, read_entry
from livecart.catalog.stock.link_verdicts import LinkVerdicts, Verdicts
from livecart.errors import StoreUnavailable

_log = logging.getLogger(__name__)
#: How long a reader waits for another process that reads the same product, and how often it looks.
_WAIT_FOR_OTHER_S = 0.1
_LOOK_EVERY_S = 0.005
#: After a failure the database is left alone this long: look-ups answer from the cache, or with None, at once.
_DATABASE_REST_S = 0.5
#: Clocks of two machines may differ by this before an entry "from the future" is not believed.
_CLOCK_SKEW_S = 0.5


@dataclass
class CacheStats:
    """What was counted since the cache was opened."""

    hits: int = 0
    misses: int = 0
    #: Look-ups that took another one's answer.
    shared: int = 0
    cache_failures: int = 0
    database_failures: int = 0
    #: Confirmations refused because nothing fresh enough was known.
    too_old: int = 0
    #: ... because the product is gone, off sale, sold out, or its link is not allowed.
    not_sellable: int = 0


class StockCache:
    """May be used by any number of threads. It blocks while Redis or the database answer: not for an event loop."""

    def __init__(
        self,
        store: Store,
        entries: EntryCache,
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
        self._lock = threading.Lock()
        self._reading: dict[str, Future[Entry]] = {}
        self._database_rests_until_s = 0.0
        self._links = LinkVerdicts(store, is_fresh=self._is_fresh, now_s=now_s)
        self._unsubscribe = store.on_change(self._on_change)

    def confirm(self, sku: str) -> Confirmed | None:
        """The product with its link and price, if a card for it may be shown now; else None.

        Never raises for a database or Redis that is away: then nothing is confirmed that is older than `max_age_s`.
        """
        found = self.check(sku)
        return found if isinstance(found, Confirmed) else None

    def check(self, sku: str, *, ahead_s: float = math.inf) -> Confirmed | Refusal:
        """As `confirm`, with the reason where a card may not be shown.

        Args:
            sku: of the product.
            ahead_s: what is known for longer is read again although it is young enough; if the database is away, it
                is taken as it is. So a product that is asked about often is never without an answer.
        """
        entry = self._lookup(sku, ahead_s)
        verdicts = None if entry is None else self._link_verdicts(ahead_s)
        if entry is None or verdicts is None:
            self.stats.too_old += 1
            return "not_known"
        refusal = _refusal(entry, verdicts)
        if refusal is not None:
            self.stats.not_sellable += 1
            return refusal
        return Confirmed(
            sku=entry.sku,
            name=entry.name,
            url=entry.url,
            price=entry.price,
            currency=entry.currency,
            stock=entry.stock,
            version=entry.version,
            confirmed_at_s=min(entry.read_at_s, verdicts.read_at_s),
        )

    def lookup(self, sku: str) -> Entry | None:
        """What is known of a product, at most `max_age_s` old; None where nothing that fresh is to be had."""
        return self._lookup(sku, math.inf)

    def _lookup(self, sku: str, ahead_s: float) -> Entry | None:
        cached, cache_up = self._cached(sku)
        if cached is not None and self._now_s() - cached.read_at_s <= ahead_s:
            self.stats.hits += 1
            return cached
        if self._monotonic_s() < self._database_rests_until_s:
            return cached
        try:
            if cached is not None:
                # The lock is for those who have nothing; here each takes what it has until one has read.
                return self._read_ahead(sku)
            return self._read_once(sku, cache_up)
        except StoreUnavailable:
            return cached if cached is not None and self._is_fresh(cached.read_at_s) else None

    def close(self) -> None:
        """Stop listening to the store, and give connections back."""
        self._unsubscribe()
        self._entries.close()

    def _cached(self, sku: str) -> tuple[Entry | None, bool]:
        """A fresh entry, and whether the cache answers."""
        try:
            entry = self._entries.get(sku)
        except CacheUnavailable:
            self.stats.cache_failures += 1
            return None, False
        if entry is None or entry.sku != sku or not self._is_fresh(entry.read_at_s):
            return None, True
        return entry, True

    def _is_fresh(self, read_at_s: float) -> bool:
        return -_CLOCK_SKEW_S <= self._now_s() - read_at_s <= self._max_age_s

    def _read_once(self, sku: str, cache_up: bool) -> Entry:
        """Of the threads that want the same product one reads it; the others take what it got."""
        with self._lock:
            running = self._reading.get(sku)
            mine: Future[Entry] = Future()
            if running is None:
                self._reading[sku] = mine
        if running is not None:
            self.stats.shared += 1
            return running.result()
        try:
            entry = self._read_through(sku) if cache_up else self._read(sku)
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                if self._reading.get(sku) is mine:
                    del self._reading[sku]
        mine.set_result(entry)
        return entry

    def _read_through(self, sku: str) -> Entry:
        try:
            locked = self._entries.try_lock(sku)
            if not locked and (entry := self._from_other(sku)):
                self.stats.shared += 1
                return entry
            generation = self._entries.generation(sku)
        except CacheUnavailable:
            self.stats.cache_failures += 1
            return self._read(sku)
        try:
            entry = self._read(sku)
            self._put(entry, generation)
        finally:
            if locked:
                self._unlock(sku)
        return entry

    def _read_ahead(self, sku: str) -> Entry:
        try:
            generation = self._entries.generation(sku)
        except CacheUnavailable:
            self.stats.cache_failures += 1
            return self._read(sku)
        entry = self._read(sku)
        self._put(entry, generation)
        return entry

    def _put(self, entry: Entry, generation: int) -> None:
        try:
            self._entries.put(entry, generation)
        except CacheUnavailable:
            self.stats.cache_failures += 1

    def _unlock(self, sku: str) -> None:
        try:
            self._entries.unlock(sku)
        except CacheUnavailable:
            self.stats.cache_failures += 1

    def _from_other(self, sku: str) -> Entry | None:
        """What another process that holds the lock puts, if it does so in time."""
        give_up_s = self._monotonic_s() + _WAIT_FOR_OTHER_S
        while self._monotonic_s() < give_up_s:
            time.sleep(_LOOK_EVERY_S)
            entry = self._entries.get(sku)
            if entry is not None and self._is_fresh(entry.read_at_s):
                return entry
        return None

    def _read(self, sku: str) -> Entry:
        self.stats.misses += 1
        read_at_s = self._now_s()
        try:
            with self._store.read() as session:
                return read_entry(session, sku, read_at_s)
        except StoreUnavailable:
            self._database_failed()
            raise

    def _link_verdicts(self, ahead_s: float) -> Verdicts | None:
        """None where the list of hosts is too old and cannot be read."""
        known = self._links.fresh()
        if known is not None and self._now_s() - known.read_at_s <= ahead_s:
            return known
        if self._monotonic_s() < self._database_rests_until_s:
            return known
        try:
            return self._links.read()
        except StoreUnavailable:
            self._database_failed()
            return self._links.fresh()

    def _database_failed(self) -> None:
        self.stats.database_failures += 1
        self._database_rests_until_s = self._monotonic_s() + _DATABASE_REST_S

    def _on_change(self, change: Change) -> None:
        if change.link_hosts:
            self._links.forget()
        with self._lock:
            # What is being read may be from before the change: nobody else is to join in.
            for sku in change.skus & self._reading.keys():
                del self._reading[sku]
        if change.skus:
            try:
                self._entries.drop(change.skus)
            except CacheUnavailable:
                self.stats.cache_failures += 1
                _log.warning("%d products changed while Redis is away; it is told when it is back", len(change.skus))


def _refusal(entry: Entry, verdicts: Verdicts) -> Refusal | None:
    if entry.version == 0:
        return "unknown"
    if not entry.on_sale:
        return "off_sale"
    if entry.stock == 0:
        return "sold_out"
    return None if verdicts.allows(entry.url) else "link"
