"""Entries in Redis, shared by every process of the shop."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import redis

from livecart.catalog.stock.entry import CacheUnavailable, Entry

_log = logging.getLogger(__name__)

#: A product's key holds the entry; its generation, counted up by each drop, outlasts every reader that is under way.
_GENERATION_TTL_S = 120
#: Longer than the database takes to answer, short enough that a killed reader holds nobody up.
_LOCK_TTL_MS = 2000
#: After a failure Redis is left alone this long, so that each look-up does not wait for its timeout anew.
_RETRY_AFTER_S = 1.0
#: Skus whose drop Redis has not heard of. Beyond it, everything in Redis is given up at once.
_MOST_UNTOLD = 10_000
_DROPS_PER_CALL = 500


class RedisEntries:
    """Owns its client. While Redis is away every call raises at once, and drops wait to be told."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        keep_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected before the first use.

        Args:
            client: must answer bytes and not retry by itself.
            prefix: of every key.
            keep_s: after which Redis forgets an entry.
            monotonic_s: a clock that never jumps.
        """
        self._client = client
        self._prefix = prefix
        self._keep_ms = max(1, int(keep_s * 1000))
        self._monotonic_s = monotonic_s
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Entry)
        self._token = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._away_until_s = 0.0
        #: Whether the log says so.
        self._is_away = False
        self._untold: set[str] = set()
        self._untold_all = False

    def get(self, sku: str) -> Entry | None:
        """See `EntryCache.get`. What is no entry of ours counts as none."""
        with self._talking():
            data: Any = self._client.get(self._entry_key(sku))
        if data is None:
            return None
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def put(self, entry: Entry, generation: int) -> None:
        """See `EntryCache.put`."""
        expected = str(generation).encode()
        with self._talking(), self._if_still(self._generation_key(entry.sku), expected, b"0") as pipe:
            if pipe is not None:
                pipe.set(self._entry_key(entry.sku), self._encoder.encode(entry), px=self._keep_ms)

    def generation(self, sku: str) -> int:
        """See `EntryCache.generation`."""
        with self._talking():
            data: Any = self._client.get(self._generation_key(sku))
        return int(data or 0)

    def drop(self, skus: frozenset[str]) -> None:
        """See `EntryCache.drop`. Where Redis is away they are told before anything is read from it again."""
        with self._lock:
            self._untold |= skus
            if len(self._untold) > _MOST_UNTOLD:
                self._untold.clear()
                self._untold_all = True
        with self._talking():
            pass

    def try_lock(self, sku: str) -> bool:
        """See `EntryCache.try_lock`."""
        with self._talking():
            return bool(self._client.set(self._lock_key(sku), self._token, nx=True, px=_LOCK_TTL_MS))

    def unlock(self, sku: str) -> None:
        """See `EntryCache.unlock`."""
        key = self._lock_key(sku)
        with self._talking(), self._if_still(key, self._token.encode(), b"") as pipe:
            if pipe is not None:
                pipe.delete(key)

    def close(self) -> None:
        """See `EntryCache.close`."""
        self._client.close()

    @contextmanager
    def _talking(self) -> Iterator[None]:
        if self._monotonic_s() < self._away_until_s:
            raise CacheUnavailable("Redis did not answer a moment ago")
        try:
            if self._untold or self._untold_all:
                self._tell_drops()
            yield
            if self._is_away:
                self._is_away = False
                _log.info("catalog cache: Redis answers again")
        except (redis.RedisError, OSError) as error:
            self._away_until_s = self._monotonic_s() + _RETRY_AFTER_S
            if not self._is_away:
                self._is_away = True
                _log.warning("catalog cache: Redis does not answer, the database is asked instead: %s", error)
            raise CacheUnavailable(f"Redis does not answer: {error}") from error

    @contextmanager
    def _if_still(self, key: str, expected: bytes, absent: bytes) -> Iterator[Any]:
        """A transaction that Redis carries out only if `key` holds `expected` to its end; None where it does not."""
        with self._client.pipeline() as pipe:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            # After WATCH a pipeline answers at once.
            found: Any = pipe.get(key)
            if (absent if found is None else found) != expected:
                yield None
                return
            pipe.multi()
            yield pipe
            with suppress(redis.WatchError):
                pipe.execute()

    def _tell_drops(self) -> None:
        with self._lock:
            if self._untold_all:
                self._drop_everything()
                self._untold_all = False
            skus = sorted(self._untold)
            for start in range(0, len(skus), _DROPS_PER_CALL):
                part = skus[start : start + _DROPS_PER_CALL]
                with self._client.pipeline(transaction=False) as pipe:
                    for sku in part:
                        # Counted up first: whoever reads between the two keeps nothing that is old.
                        pipe.incr(self._generation_key(sku))
                        pipe.expire(self._generation_key(sku), _GENERATION_TTL_S)
                        pipe.delete(self._entry_key(sku))
                    pipe.execute()
                self._untold.difference_update(part)

    def _drop_everything(self) -> None:
        keys: list[Any] = []
        for key in self._client.scan_iter(match=f"{self._prefix}:stock:*", count=1000):
            keys.append(key)
            if len(keys) == _DROPS_PER_CALL:
                self._client.delete(*keys)
                keys.clear()
        if keys:
            self._client.delete(*keys)

    def _entry_key(self, sku: str) -> str:
        return f"{self._prefix}:stock:{sku}"

    def _generation_key(self, sku: str) -> str:
        return f"{self._prefix}:stockgen:{sku}"

    def _lock_key(self, sku: str) -> str:
        return f"{self._prefix}:stocklock:{sku}"
