"""Requests at the recogniser at once: its ready workers and one more, fewer while it does not keep up.

A frame that waits in the server's queue only grows old, while one that waits here may be replaced by a newer one; and
two that wait there are answered together by one worker, even if another is free by then. The one more is there when a
worker becomes free: without it every worker idles for a request's way.

A recogniser that needs longer than a request may take goes on with requests that nobody waits for any more, and answers
none in time. So each refusal or timeout takes away a third of the requests, and answers bring them back one by one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

#: Asks how many workers are ready; None: nobody can tell.
ReadyWorkers = Callable[[], Awaitable[int | None]]

#: Requests at once for as long as nobody could tell.
UNKNOWN = 4
_MORE_THAN_WORKERS = 1
#: Workers start and die within seconds; asking costs the server a millisecond.
_ASK_EVERY_S = 5.0
#: What a refusal leaves, and how long the next one changes nothing: those of one moment are one.
_AFTER_REFUSAL, _REFUSAL_QUIET_S = 0.67, 1.0
#: Answers after a refusal that bring one request back.
_ANSWERS = 4


class ConcurrencyLimiter:
    """Bounds requests at once, first come, first served. Belongs to one event loop.

    Args:
        fixed: that many, always; None: as `follow`, `answered` and `refused` say.
        clock: seconds that only grow.
    """

    def __init__(self, fixed: int | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = self._most = UNKNOWN if fixed is None else fixed
        self._is_fixed = fixed is not None
        self._clock = clock
        self._free = asyncio.Semaphore(self.limit)
        #: Requests that run above the limit since it fell; the next ones that end give nothing back.
        self._surplus = 0
        self._answers = 0
        self._refused_at_s = float("-inf")

    async def acquire(self) -> None:
        await self._free.acquire()

    def release(self) -> None:
        if self._surplus:
            self._surplus -= 1
        else:
            self._free.release()

    async def answered(self) -> None:
        if self.limit < self._most:
            self._answers += 1
            if self._answers >= _ANSWERS:
                await self._resize(self.limit + 1)

    async def refused(self) -> None:
        now_s = self._clock()
        if not self._is_fixed and now_s - self._refused_at_s >= _REFUSAL_QUIET_S:
            self._refused_at_s = now_s
            await self._resize(max(1, int(self.limit * _AFTER_REFUSAL)))

    async def follow(self, ready_workers: ReadyWorkers | None) -> None:
        """Count the ready workers, for ever; while none can be counted nothing changes."""
        unknown = not self._is_fixed
        while True:
            workers = None if self._is_fixed or ready_workers is None else await ready_workers()
            if workers and workers + _MORE_THAN_WORKERS != self._most:
                self._most = workers + _MORE_THAN_WORKERS
                await self._resize(self._most)
                _log.info("%d workers of the recogniser are ready: %d requests at once", workers, self._most)
            elif unknown and not workers:
                _log.info(
                    "the recogniser's workers cannot be counted: %d requests at once; "
                    "set recognizer.management_url, or dispatcher.in_flight",
                    self._most,
                )
            unknown = False
            await asyncio.sleep(_ASK_EVERY_S)

    async def _resize(self, limit: int) -> None:
        self._answers = 0
        for _ in range(self.limit, limit):
            self.release()
        for _ in range(limit, self.limit):
            if self._free.locked():
                self._surplus += 1
            else:
                await self._free.acquire()
        self.limit = limit
