"""Work in the background: kept running, ended surely, tried again with backoff."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from random import Random
from typing import Any, Protocol

_log = logging.getLogger(__name__)

_PAUSE_S = 1.0


class CountsFailures(Protocol):
    """Counts what failed in the background."""

    def background_failure(self, where: str) -> None:
        """Something failed in `where`; the log has the traceback."""


async def keep_running(
    name: str, work: Callable[[], Awaitable[None]], failures: CountsFailures, *, pause_s: float = _PAUSE_S
) -> None:
    """Run `work` until it returns; when it raises, log and count that, and begin again after `pause_s` seconds."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  whatever it was, the work has to go on
            failures.background_failure(name)
            _log.exception("%s failed; it begins again in %g s", name, pause_s)
            await asyncio.sleep(pause_s)
        else:
            return


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task until it has ended: up to Python 3.11 `wait_for` may lose a cancellation that meets a result."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


class Backoff:
    """Waits between half of a longest time and the whole of it, which doubles with each failure in a row.

    The jitter keeps many that lost the same server from coming back in the same moment. Source: Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
    """

    def __init__(self, first_s: float, longest_s: float, rng: Random | None = None) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng or Random()  # noqa: S311  jitter, no secret
        self.failures = 0

    def next_wait_s(self) -> float:
        """Count one more failure; seconds to wait for it."""
        longest_s = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return self._rng.uniform(longest_s / 2, longest_s)

    async def wait(self) -> None:
        await asyncio.sleep(self.next_wait_s())

    def reset(self) -> None:
        self.failures = 0


class LoopCalls:
    """Calls from other threads into an event loop: in order, and one caller's fault hurts no other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failures: CountsFailures, name: str) -> None:
        self._loop = loop
        self._failures = failures
        self._name = name

    def call(self, what: Callable[..., None], *args: Any) -> Future[None] | None:
        """Have `what` done in the event loop, in order; None where the loop is gone.

        The future is done once `what` has ended, even if it failed: that is counted and logged.
        """
        done: Future[None] = Future()

        def work() -> None:
            try:
                what(*args)
            except Exception:  # noqa: BLE001  the loop serves others as well
                self._failures.background_failure("room")
                _log.exception("%s: %s failed", self._name, what.__name__)
            finally:
                done.set_result(None)

        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop is closed: the program ends
            return None
        return done
