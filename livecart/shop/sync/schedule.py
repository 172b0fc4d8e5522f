"""Feeds read again and again, each in its own time, in one thread a feed."""

import logging
import random
import threading
from dataclasses import dataclass

from livecart.core.background import Backoff
from livecart.shop.sync.syncer import Syncer

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
        self.stats = ScheduleStats()
        self._stopping = threading.Event()
        self._syncers = [syncer for syncer, _ in feeds]
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
        for syncer in self._syncers:
            syncer.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, syncer: Syncer, every_s: float) -> None:
        backoff = Backoff(min(_FIRST_RETRY_S, every_s), every_s)
        while not self._stopping.is_set():
            self.stats.runs += 1
            try:
                outcome = syncer.sync_once().outcome
            except Exception:  # noqa: BLE001  a fault in one feed's data must not end its schedule
                self.stats.crashes += 1
                _log.exception("a sync failed in an unforeseen way; it is tried again")
                outcome = "failed"
            if outcome == "failed":
                self._stopping.wait(backoff.next_wait_s())
                continue
            backoff.reset()
            self._stopping.wait(every_s * (1 + random.uniform(-_JITTER_SHARE, _JITTER_SHARE)))  # noqa: S311
