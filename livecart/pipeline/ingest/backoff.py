"""How long to wait before the next try."""

from __future__ import annotations

from random import Random


class Backoff:
    """Exponential backoff with full jitter: waits are uniform in 0 .. min(longest, first * 2**n).

    The jitter keeps many rooms that lost the same server from coming back in the same moment. Source: Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, first_s: float, longest_s: float, rng: Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng
        self._failures = 0

    def next_wait_s(self) -> float:
        """Seconds to wait now; the following wait may be twice as long."""
        ceiling_s = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return self._rng.uniform(0.0, ceiling_s)

    def reset(self) -> None:
        """Start afresh: it worked."""
        self._failures = 0
