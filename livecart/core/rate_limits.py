"""Token buckets: so many at once, then so many a second; and addresses as limits count them."""

import ipaddress
import time

from cachetools import LRUCache

_MOST_KEYS = 10_000


def network_of(ip: str) -> str:
    """The address as limits count it: of IPv6 its /64; whatever is no address counts as one."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return ip


class TokenBucket:
    """Lets `burst` through at once and `per_s` each second."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = time.monotonic()

    def take(self) -> bool:
        return self.wait_s() == 0.0

    def is_empty(self) -> bool:
        return self._left + (time.monotonic() - self._at_s) * self._per_s < 1

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
    """One bucket a key; beyond 10,000 the one that was used longest ago is forgotten. Of one event loop."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._buckets: LRUCache[str, TokenBucket] = LRUCache(_MOST_KEYS)

    def is_empty(self, key: str) -> bool:
        bucket = self._buckets.get(key)
        return bucket is not None and bucket.is_empty()

    def take(self, key: str) -> bool:
        return self.wait_s(key) == 0.0

    def wait_s(self, key: str) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._burst, self._per_s)
        return bucket.wait_s()
