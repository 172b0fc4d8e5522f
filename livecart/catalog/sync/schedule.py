"""Feeds read again and again, each in its own time, in one thread a feed."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass

from livecart.catalog.sync.syncer import Syncer

_log = logging.getLogger(__name__)
#: So that feeds of one server do not all start at the same second.
_JITTER_SHARE = 0.1
#: A feed that fails is tried again sooner at first, then as seldom as ever.
_FIRST_RETRY_S = 10.0


@dataclass
class ScheduleStats:
    """Counted since the start. `crashes` are faults of ours: the feed is read again all the same."""

    runs: int = 0
    crashes: int = 0


class SyncSchedule:
    """Start it, stop it; a feed that fails never stops another."""

    def __init__(self, feeds: list[tuple[Syncer, float]]) -> None:
        """Nothing runs before `start`.

        Args:
            feeds: each with the seconds from the end of one reading to the start of the next.
        """
        self.stats = ScheduleStats()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=feed, name=f"sync-{number}", daemon=True)
            for number, feed in enumerate(feeds)
        ]

    def start(self) -> None:
        """Read every feed now, then by its schedule."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Start no further reading. True where all were at rest in time; what was cut off goes on next time."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, syncer: Syncer, every_s: float) -> None:
        failures = 0
        while not self._stopping.is_set():
            self.stats.runs += 1
            try:
                outcome = syncer.sync_once().outcome
            except Exception:  # noqa: BLE001  a fault in one feed's data must not end its schedule
                self.stats.crashes += 1
                _log.exception("a sync failed in an unforeseen way; it is tried again")
                outcome = "failed"
            failures = failures + 1 if outcome == "failed" else 0
            pause_s = every_s if not failures else min(every_s, _FIRST_RETRY_S * 2 ** min(failures - 1, 16))
            self._stopping.wait(pause_s * (1 + random.uniform(-_JITTER_SHARE, _JITTER_SHARE)))  # noqa: S311
