"""How many requests are at the recogniser at once: found out, since nobody knows what it can do.

The archive says how long it worked on a frame; the rest of a request's time the frame waited in the server's queue. A
frame that waits there only grows old, while one that waits here may be replaced by a newer one. So the usual wait is
held between two bounds, as CoDel (RFC 8289) does it with packets: shorter, and one request more may be sent, so that no
worker is idle; longer, and one less. A refusal or a request that timed out takes a third away at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

#: Usual wait in the server's queue, in seconds: shorter, one more is sent; longer, one less. A lone request waits
#: the archive's `maxBatchDelay` and some milliseconds of HTTP. On a GPU the bounds leave room for whole batches.
_SHORT_WAIT_S, _LONG_WAIT_S = 0.05, 0.15
#: After a refusal, and how long the next one changes nothing.
_AFTER_REFUSAL, _REFUSAL_QUIET_S = 0.67, 1.0
#: Share of a new wait in the usual one.
_SMOOTHING = 0.2


class Places:
    """Places for requests; belongs to one event loop. First come, first served.

    Args:
        first: places at the start, 1 or more.
        most: places at most; equal to `first`: their number never changes.
        clock: seconds that only grow.
    """

    def __init__(self, first: int, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = float(first)
        self._most = float(most)
        self._is_fixed = most <= first
        self._clock = clock
        self._used = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._usual_wait_s: float | None = None
        self._refused_at_s = float("-inf")

    @property
    def limit(self) -> int:
        """How many there are now."""
        return int(self._limit)

    def locked(self) -> bool:
        """Whether who comes now has to wait."""
        return self._used >= self.limit

    async def acquire(self) -> None:
        """Take a place, waiting for one."""
        if not self._waiters and not self.locked():
            self._used += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                self._waiters.remove(turn)
            raise

    def release(self) -> None:
        """Give a place back."""
        self._used -= 1
        while self._waiters and not self.locked():
            turn = self._waiters.popleft()
            if not turn.done():
                self._used += 1
                turn.set_result(None)

    def answered(self, wait_s: float) -> None:
        """A request was answered, after so long in the server's queue. Told before its place is given back."""
        if self._is_fixed:
            return
        before_s = wait_s if self._usual_wait_s is None else self._usual_wait_s
        self._usual_wait_s = before_s + _SMOOTHING * (wait_s - before_s)
        # A step of one takes as many answers as there are places: what the last step did is to be seen first.
        if self._usual_wait_s > _LONG_WAIT_S:
            self._limit = max(1.0, self._limit - 1 / self._limit)
        elif self._usual_wait_s < _SHORT_WAIT_S and self.locked():
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def refused(self) -> None:
        """The recogniser was busy, restarting or too slow."""
        now_s = self._clock()
        if self._is_fixed or now_s - self._refused_at_s < _REFUSAL_QUIET_S:
            return
        self._refused_at_s = now_s
        self._limit = max(1.0, self._limit * _AFTER_REFUSAL)
