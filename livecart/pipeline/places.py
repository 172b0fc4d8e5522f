"""How many requests are at the recogniser at once: found out, since nobody knows what it can do (TCP Vegas' way).

A request that finds a free worker takes the shortest time seen lately. From how much longer requests take it follows
how many of those sent only wait in the server's queue: `limit * (1 - shortest / usual)`. Fewer than one waiting: one
more may be sent, so that no worker is idle; more than three: one less. A refusal or a request that timed out takes a
third away at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

#: Requests that may wait in the server's queue: fewer, and one more is sent at once; more, and one less.
_LEAST_WAITING, _MOST_WAITING = 1.0, 3.0
#: After a refusal, and how long the next one changes nothing.
_AFTER_REFUSAL, _REFUSAL_QUIET_S = 0.67, 1.0
#: The shortest time is that of the last this many seconds, at least half of it: a server may become slower for good.
_SHORTEST_OF_S = 60.0
#: Share of a new time in the usual one.
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
        self._usual_s: float | None = None
        self._shortest_s: float | None = None
        self._before_s: float | None = None
        self._shortest_since_s = clock()
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

    def answered(self, seconds: float) -> None:
        """A request took so long. Told before its place is given back."""
        if self._is_fixed:
            return
        now_s = self._clock()
        if now_s - self._shortest_since_s >= _SHORTEST_OF_S / 2:
            self._before_s, self._shortest_s, self._shortest_since_s = self._shortest_s, None, now_s
        self._shortest_s = seconds if self._shortest_s is None else min(self._shortest_s, seconds)
        shortest_s = self._shortest_s if self._before_s is None else min(self._shortest_s, self._before_s)
        usual_s = seconds if self._usual_s is None else self._usual_s + _SMOOTHING * (seconds - self._usual_s)
        self._usual_s = usual_s
        waiting = self._limit * (1 - shortest_s / usual_s) if usual_s > 0 else 0.0
        # A step of one takes as many answers as there are places: what the last step did is to be seen first.
        if waiting > _MOST_WAITING:
            self._limit = max(1.0, self._limit - 1 / self._limit)
        elif waiting < _LEAST_WAITING and self.locked():
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def refused(self) -> None:
        """The recogniser was busy, restarting or too slow."""
        now_s = self._clock()
        if self._is_fixed or now_s - self._refused_at_s < _REFUSAL_QUIET_S:
            return
        self._refused_at_s = now_s
        self._limit = max(1.0, self._limit * _AFTER_REFUSAL)
