"""Ends the reads of one thread: when it is to stop, or its deadline has passed.

A read inside FFmpeg ends by the timeouts that `av.open` was given; PyAV has no call that ends it sooner. What waits
elsewhere (egress.py, srt.py) is woken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReadGuard:
    """Of one reading thread; others tell it to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._deadline_s: float | None = None
        self._wake: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End what waits, for good. May be called again."""
        with self._lock:
            self.stopped.set()
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def expect_within(self, seconds: float | None) -> None:
        """Count as overdue `seconds` from now unless this is called again before; None: never."""
        self._deadline_s = None if seconds is None else time.monotonic() + seconds

    @property
    def overdue(self) -> bool:
        deadline_s = self._deadline_s
        return deadline_s is not None and time.monotonic() > deadline_s

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While inside, `stop` calls `wake` once, from its own thread."""
        with self._lock:
            self._wake = wake
            is_late = self.stopped.is_set()
        if is_late:
            wake()
        try:
            yield
        finally:
            with self._lock:
                self._wake = None
