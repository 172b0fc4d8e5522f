"""Waking a thread that waits inside FFmpeg, which PyAV offers no call for.

FFmpeg asks a callback, about ten times a second while it waits for the network, whether to give up. PyAV (18) installs
that callback and answers by its own rule only: is `time.monotonic()` later than the beginning of this read plus the
timeout? The beginning is renewed with every packet, also with packets of streams that nobody reads, and closing the
container from another thread frees memory that the read still uses.

So the clock that this callback reads is replaced, in `av.container.core` alone: for a thread whose `ReadGuard` says
that reading should end, every look at the clock is long after the one before, and the callback gives up. All other
threads get `time.monotonic()`. Should a later PyAV ask another clock, reads still end by PyAV's own timeouts, only
later; a test holds on to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import av.container.core as pyav_core

#: Longer than any timeout.
_LEAP_S = 1e6

_guards: dict[int, ReadGuard] = {}


class ReadGuard:
    """Says when the reads of one thread should end: when it was told to stop, or when its deadline has passed."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._deadline_s: float | None = None
        self._leaps = count(1)

    def expect_within(self, seconds: float | None) -> None:
        """Let reads end `seconds` from now unless this is called again before; None: no deadline."""
        self._deadline_s = None if seconds is None else time.monotonic() + seconds

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        deadline_s = self._deadline_s
        return deadline_s is not None and time.monotonic() > deadline_s

    @contextmanager
    def watching_this_thread(self) -> Iterator[None]:
        """While inside, reads of the calling thread end when this guard says so."""
        _install()
        thread = threading.get_ident()
        _guards[thread] = self
        try:
            yield
        finally:
            del _guards[thread]

    def leap_s(self) -> float:
        """What PyAV's clock is ahead by: 0, or more with every call once reading should end."""
        return _LEAP_S * next(self._leaps) if self.stopped.is_set() or self.overdue else 0.0


class _GuardedClock:
    """Stands in for the module `time` in PyAV's container code, which uses nothing else of it."""

    @staticmethod
    def monotonic() -> float:
        guard = _guards.get(threading.get_ident())
        return time.monotonic() + (guard.leap_s() if guard else 0.0)


def _install() -> None:
    if getattr(pyav_core, "time", None) is time:
        pyav_core.time = _GuardedClock  # type: ignore[attr-defined]
