"""Schedules builds: once changes pause, so that many make one build; finds those that other processes write."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from livecart.core.background import Backoff

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0


@dataclass
class Debounce:
    """Changes that are due `quiet_s` after the last of them, `longest_s` after the first at the latest.

    Any thread may tell it of one. The loser of a race makes one look at the revision too many.
    """

    quiet_s: float
    longest_s: float
    _span: tuple[float, float] | None = None

    def heard(self, at_s: float) -> None:
        span = self._span
        self._span = (span[0] if span else at_s, at_s)

    @property
    def due_s(self) -> float:
        span = self._span
        return min(span[0] + self.longest_s, span[1] + self.quiet_s) if span else math.inf

    def clear(self) -> None:
        self._span = None


class Schedule:
    """Publishes once at first, then whatever is due; in between it looks every `poll_s` seconds for what others wrote.

    What fails is tried again, later each time, or as soon as something else is due.
    """

    def __init__(
        self,
        publish: Callable[[], object],
        *debounces: Debounce,
        look: Callable[[], object],
        failed: Callable[[Exception], None],
        poll_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._debounces = debounces
        self._look = look
        self._failed = failed
        self._poll_s = poll_s
        self._monotonic_s = monotonic_s
        self._backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        self._again_s = -math.inf
        self._is_retry = True

    def step(self) -> float:
        """Do what is due, if anything is; seconds to the next step, where nothing is heard before."""
        now_s = self._monotonic_s()
        is_due = self._due_s() <= now_s
        if is_due or self._again_s <= now_s:
            try:
                if is_due or self._is_retry:
                    # Before the catalog is read: what is heard from here on is for the next time.
                    for debounce in self._debounces:
                        debounce.clear()
                    self._publish()
                else:
                    self._look()
            except Exception as error:  # noqa: BLE001  whatever it was, the next change must find a publisher
                self._is_retry = True
                self._again_s = self._monotonic_s() + self._backoff.next_wait_s()
                self._failed(error)
            else:
                self._is_retry = False
                self._again_s = self._monotonic_s() + self._poll_s
                self._backoff.reset()
        return max(0.0, min(self._due_s(), self._again_s) - self._monotonic_s())

    def _due_s(self) -> float:
        return min(debounce.due_s for debounce in self._debounces)
