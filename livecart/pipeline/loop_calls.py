"""From a reader's thread into the event loop: in order, and one room's fault hurts no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from livecart.pipeline.metrics import LiveMetrics

_log = logging.getLogger(__name__)


class LoopCalls:
    """What a room's threads have done in the event loop. `call` from any thread.

    Args:
        loop: where.
        metrics: told of what failed.
        room: named in the log.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, metrics: LiveMetrics, room: str) -> None:
        self._loop = loop
        self._metrics = metrics
        self._room = room

    def call(self, what: Callable[..., None], *args: Any) -> Future[None] | None:
        """Have `what` done in the event loop, in order; None where the loop is gone.

        The future is done once `what` has ended, even if it failed: that is counted and logged.
        """
        done: Future[None] = Future()

        def work() -> None:
            try:
                what(*args)
            except Exception:  # noqa: BLE001  one room's fault; the loop serves the others
                self._metrics.background_failure("room")
                _log.exception("room %s: %s failed", self._room, what.__name__)
            finally:
                done.set_result(None)

        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop is closed: the program ends
            return None
        return done
