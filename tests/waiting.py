"""Waits for what another task, thread or process does: bounded, so that no test hangs."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

#: For what takes a moment on an idle machine.
PATIENCE_S = 40.0


async def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Wait in the event loop; fails the test if it does not happen."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Wait in a thread; fails the test if it does not happen."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.01)
