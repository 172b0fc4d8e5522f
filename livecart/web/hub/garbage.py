"""Thresholds of Python's garbage collector in a process with thousands of viewers.

Python counts objects made less objects freed. Each event gives every viewer some that live until the next event, so
that with 10,000 viewers the default thresholds lead to a look at all objects of the process every few events, and
nothing else runs for a second (`benchmarks/bench_hub.py`). Connections that ended leave cycles: they are counted here.
"""

import gc

#: From so many viewers on the thresholds are raised; below, Python's own are right.
_MANY_VIEWERS = 1000
#: Objects made less objects freed before the youngest are looked at; for the others Python's own factors.
_THRESHOLD = 20_000
#: Ended connections that may wait: some 10 kB each.
_MOST_ENDED = 5000


class GarbagePolicy:
    """Sets the process's thresholds; `restore` gives it back its own."""

    def __init__(self) -> None:
        self._own = gc.get_threshold()
        self._collected_at = 0

    def adjust(self, viewers: int, ended: int) -> None:
        """Go by the viewers connected now, and the connections that have ended so far."""
        if viewers < _MANY_VIEWERS:
            self.restore()
            self._collected_at = ended
            return
        if gc.get_threshold() == self._own:
            gc.set_threshold(_THRESHOLD, *self._own[1:])
            self._collected_at = ended
        if ended - self._collected_at >= _MOST_ENDED:
            gc.collect()
            self._collected_at = ended

    def restore(self) -> None:
        if gc.get_threshold() != self._own:
            gc.set_threshold(*self._own)
