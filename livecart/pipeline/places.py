"""How many requests are at the recogniser at once: found out, since nobody knows what it can do.

The archive says how long it worked on a frame; the rest of a request's time the frame waited in the server's queue. A
frame that waits there only grows old, while one that waits here may be replaced by a newer one; and two that wait there
are answered together by one worker, even if another is free by then. So each answer says something of as many places as
were taken when it was asked for: several that waited long say that there are too many, several that took the last place
and did not wait that one more may be of use. The mean of all waits would not do: between bursts nothing waits. What a
request waits that is alone (encoding, the way there, `maxBatchDelay`) is no queue, and is left out. A refusal or a
request that timed out takes a third away at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

#: Waits in the server's queue, in seconds.
_SHORT_WAIT_S, _LONG_WAIT_S = 0.05, 0.15
#: After a refusal, and how long the next one changes nothing.
_AFTER_REFUSAL, _REFUSAL_QUIET_S = 0.67, 1.0
#: Answers of one kind that make a step.
_ANSWERS = 4
#: What a lone request waits is the least that any waited; one that was alone and waited longer moves it by this share.
_LONE_SHARE = 0.1
#: Answers that waited long count for so long.
_LONG_COUNTS_S = 30.0


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
        self._lone_s: float | None = None
        #: Answers that waited long, when the last one came, and the fewest places that were taken for one of them.
        self._long, self._long_at_s, self._long_from = 0, float("-inf"), most
        #: Answers that took the last place and did not wait.
        self._short = 0
        self._refused_at_s = float("-inf")

    @property
    def limit(self) -> int:
        """How many there are now."""
        return int(self._limit)

    @property
    def taken(self) -> int:
        """How many of them are taken now."""
        return self._used

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
            elif turn in self._waiters:
                # Else `release` has passed it over already.
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

    def answered(self, wait_s: float, taken: int) -> None:
        """A request was answered after so long in the server's queue; when it was sent so many places were `taken`."""
        if self._is_fixed:
            return
        lone_s = wait_s if self._lone_s is None else self._lone_s
        self._lone_s = min(wait_s, lone_s + (_LONE_SHARE * (wait_s - lone_s) if taken == 1 else 0.0))
        queued_s, now_s = wait_s - self._lone_s, self._clock()
        if now_s - self._long_at_s > _LONG_COUNTS_S:
            self._forget_long()
        if queued_s > _LONG_WAIT_S and taken > 1:
            self._long, self._long_at_s, self._short = self._long + 1, now_s, 0
            self._long_from = min(self._long_from, taken)
            if self._long >= _ANSWERS:
                self._step(-1)
        elif self._long and taken >= self._long_from:
            # As many were worked on at once: it may have been no lack of workers that another waited for.
            self._long -= 1
        if queued_s < _SHORT_WAIT_S and taken >= self.limit:
            self._short += 1
            if self._short >= _ANSWERS:
                self._step(1)

    def _step(self, places: int) -> None:
        self._limit = min(max(1.0, self._limit + places), self._most)
        self._short = 0
        self._forget_long()

    def _forget_long(self) -> None:
        self._long, self._long_from = 0, int(self._most)

    def refused(self) -> None:
        """The recogniser was busy, restarting or too slow."""
        now_s = self._clock()
        if self._is_fixed or now_s - self._refused_at_s < _REFUSAL_QUIET_S:
            return
        self._refused_at_s = now_s
        self._limit *= _AFTER_REFUSAL
        self._step(0)
