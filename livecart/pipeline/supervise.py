"""Work in the background that must not end unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

_log = logging.getLogger(__name__)

_PAUSE_S = 1.0


class CountsFailures(Protocol):
    """Told of what failed in the background."""

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
    """Cancel a task until it has ended; what it raises was logged by `keep_running`."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
