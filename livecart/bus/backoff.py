"""How long the Redis side of the bus waits before it tries again."""

from __future__ import annotations

import asyncio
import random

_FIRST_S, _MOST_S = 0.05, 2.0


async def wait_before_retry(failures: int) -> None:
    """Wait after `failures` in a row, 0 for the first: twice as long each time, up to 2 s, at least half of it."""
    longest_s = min(_FIRST_S * 2 ** min(failures, 10), _MOST_S)
    await asyncio.sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311 - jitter, no secret
