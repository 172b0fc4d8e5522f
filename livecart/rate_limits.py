"""Token buckets: so many at once, then so many a second."""

from __future__ import annotations

import time
from collections import OrderedDict


class TokenBucket:
    """Lets `burst` through at once and `per_s` each second."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = time.monotonic()

    def take(self) -> bool:
        """Take one; whether there was one."""
        return self.wait_s() == 0.0

    def wait_s(self) -> float:
        """Take one and say 0; or take none, and say in how many seconds there is one."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0


class TokenBuckets:
    """One bucket a key; beyond `most_keys` the one that was used longest ago is forgotten. Of one event loop."""

    def __init__(self, burst: float, per_s: float, most_keys: int = 10_000) -> None:
        self._burst = burst
        self._per_s = per_s
        self._most_keys = most_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str) -> bool:
        """Take one of the key's; whether there was one."""
        return self.wait_s(key) == 0.0

    def wait_s(self, key: str) -> float:
        """Take one of the key's and say 0; or take none, and say in how many seconds there is one."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._burst, self._per_s)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most_keys:
            self._buckets.popitem(last=False)
        return bucket.wait_s()
