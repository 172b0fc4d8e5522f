"""Entries in Redis, shared by every process of the shop: one reads for all, and all hear of an edit at once.

An entry is stored with the number of its product's edits. Each edit counts that number up, so that what was read
before it, and put at whatever moment, is no longer believed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from livecart.shop.availability.entries import CacheUnavailable, Found
from livecart.shop.availability.product import ProductAvailability

_log = logging.getLogger(__name__)

#: A count of edits outlasts every entry: `max_age_s` is 60 s at most, and an older one is not believed by its age.
_EDITS_TTL_S = 120
#: After a failure Redis is left alone this long, so that each look-up does not wait for its timeout anew.
_RETRY_AFTER_S = 1.0
#: Edits that Redis has not heard of. Beyond it, everything in Redis is given up at once.
_MOST_UNSENT = 10_000
_DROPS_PER_CALL = 500


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    edits: str
    entry: ProductAvailability


class RedisEntries:
    """Owns its client. While Redis is away every call raises at once, and drops wait to be sent."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        keep_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected before the first use."""
        self._client = client
        self._prefix = f"{prefix}:availability"
        self._keep_ms = max(1, int(keep_s * 1000))
        self._monotonic_s = monotonic_s
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(_Stored)
        self._lock = threading.Lock()
        self._away_until_s = 0.0
        #: Whether the log says so.
        self._is_away = False
        self._unsent: set[str] = set()
        self._all_unsent = False

    def get(self, skus: Sequence[str]) -> Found:
        keys = [self._all_edits_key, *map(self._edits_key, skus), *map(self._entry_key, skus)]
        with self._connected():
            values: Any = self._client.mget(keys)
        of_all, counts, stored = values[0], values[1 : len(skus) + 1], values[len(skus) + 1 :]
        found = Found()
        for sku, count, data in zip(skus, counts, stored, strict=True):
            found.edits[sku] = f"{_text(of_all)}.{_text(count)}"
            entry = self._decoded(data, found.edits[sku])
            if entry is not None and entry.sku == sku:
                found.entries[sku] = entry
        return found

    def put(self, entries: Sequence[ProductAvailability], edits: dict[str, str]) -> None:
        with self._connected(), self._client.pipeline(transaction=False) as pipe:
            for entry in entries:
                stored = self._encoder.encode(_Stored(edits[entry.sku], entry))
                pipe.set(self._entry_key(entry.sku), stored, px=self._keep_ms)
            pipe.execute()

    def drop(self, skus: Set[str] | None) -> None:
        """Note the edits and send them; where Redis is away they are sent before anything is read from it again."""
        with self._lock:
            self._unsent |= skus or set()
            if skus is None or len(self._unsent) > _MOST_UNSENT:
                self._unsent.clear()
                self._all_unsent = True
        with self._connected():
            pass

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        if self._monotonic_s() < self._away_until_s:
            raise CacheUnavailable("Redis did not answer a moment ago")
        try:
            if self._unsent or self._all_unsent:
                self._send_drops()
            yield
            if self._is_away:
                self._is_away = False
                _log.info("availability cache: Redis answers again")
        except (redis.RedisError, OSError) as error:
            self._away_until_s = self._monotonic_s() + _RETRY_AFTER_S
            if not self._is_away:
                self._is_away = True
                _log.warning("availability cache: Redis does not answer, the database is asked instead: %s", error)
            raise CacheUnavailable(f"Redis does not answer: {error}") from error

    def _send_drops(self) -> None:
        with self._lock:
            if self._all_unsent:
                self._client.incr(self._all_edits_key)
                self._all_unsent = False
            skus = sorted(self._unsent)
            for start in range(0, len(skus), _DROPS_PER_CALL):
                part = skus[start : start + _DROPS_PER_CALL]
                with self._client.pipeline(transaction=False) as pipe:
                    for sku in part:
                        pipe.incr(self._edits_key(sku))
                        pipe.expire(self._edits_key(sku), _EDITS_TTL_S)
                    pipe.execute()
                self._unsent.difference_update(part)

    def _decoded(self, data: Any, edits: str) -> ProductAvailability | None:
        """The entry, if it is one of ours and no edit has come since it was read."""
        if data is None:
            return None
        try:
            stored = self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return stored.entry if stored.edits == edits else None

    @property
    def _all_edits_key(self) -> str:
        return f"{self._prefix}:edits"

    def _edits_key(self, sku: str) -> str:
        return f"{self._prefix}:edits:{sku}"

    def _entry_key(self, sku: str) -> str:
        return f"{self._prefix}:entry:{sku}"


def _text(count: bytes | None) -> str:
    return "0" if count is None else count.decode("ascii", "replace")
