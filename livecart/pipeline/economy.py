"""When the machine cannot follow, rooms decode key frames only: whether that is so now.

A second in which a frame waited for its turn for half a second, or was replaced or grew stale there, is a short one.
Economy begins with the third short one of five, so that a few looks at once do not slow every room down, and ends when
there was none for half a minute. If it has to begin again soon after, it lasts twice as long each time, up to five
minutes: it does not flap.
"""

from __future__ import annotations

import threading
from collections import deque

_LONG_WAIT_S = 0.5
_SHORT_SECONDS, _OF_SECONDS = 3, 5
_LASTS_S, _LASTS_AT_MOST_S = 30.0, 300.0


class Economy:
    """Told of waits and losses from any thread; `tick` once a second, from one."""

    def __init__(self) -> None:
        self.on = False
        self._lock = threading.Lock()
        self._is_short = False
        self._seconds: deque[bool] = deque(maxlen=_OF_SECONDS)
        self._lasts_s = _LASTS_S
        self._short_at_s = self._ended_at_s = float("-inf")

    def waited(self, seconds: float) -> None:
        """A frame waited so long until it could be sent."""
        if seconds >= _LONG_WAIT_S:
            self.lost()

    def lost(self) -> None:
        """A frame was replaced by a newer one before it could be sent, or grew too old."""
        with self._lock:
            self._is_short = True

    def tick(self, now_s: float) -> bool:
        """A second is over; whether to economise in the next. `now_s` only grows."""
        with self._lock:
            is_short, self._is_short = self._is_short, False
        self._seconds.append(is_short)
        if is_short:
            self._short_at_s = now_s
        if self.on:
            if now_s - self._short_at_s >= self._lasts_s:
                self.on, self._ended_at_s = False, now_s
        elif sum(self._seconds) >= _SHORT_SECONDS:
            again = now_s - self._ended_at_s < 2 * self._lasts_s
            self._lasts_s = min(2 * self._lasts_s, _LASTS_AT_MOST_S) if again else _LASTS_S
            self.on = True
        return self.on
