"""Counts what becomes of frames, for tests to look at."""

import threading
from collections import Counter

from livecart.live.outcomes import Incident, Outcome, Stage


class Tally:
    """`FrameMetrics` that count in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[Outcome] = Counter()
        self._incidents: Counter[Incident] = Counter()
        self._stage_seconds: dict[Stage, tuple[int, float]] = {}

    def frame(self, room: str, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[outcome] += 1

    def stage(self, stage: Stage, seconds: float) -> None:
        with self._lock:
            count, total_s = self._stage_seconds.get(stage, (0, 0.0))
            self._stage_seconds[stage] = (count + 1, total_s + seconds)

    def incident(self, room: str, incident: Incident) -> None:
        with self._lock:
            self._incidents[incident] += 1

    @property
    def outcomes(self) -> Counter[Outcome]:
        with self._lock:
            return self._outcomes.copy()

    @property
    def incidents(self) -> Counter[Incident]:
        with self._lock:
            return self._incidents.copy()

    @property
    def stage_seconds(self) -> dict[Stage, tuple[int, float]]:
        with self._lock:
            return dict(self._stage_seconds)
