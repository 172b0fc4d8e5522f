"""The sampling controller: faster while something comes in or is about to be decided, slower to shed load."""

import threading
import time
from collections import deque

from livecart.core.types import Detections, Frame
from livecart.live.video import IngestSettings, SamplingRate

#: How long the stream is sampled faster for one decision, and when something new comes: a product that is still being
#: brought in is whole half a second later.
_SPEED_UP_S, _ARRIVAL_S = 1.5, 0.5
#: The same where the next good frame is wanted: the gate may pass some over as blurred.
_WANTED_S = 1.0
#: Load is shed after so many short seconds of so many, for so long at first and at most.
_LONG_WAIT_S = 0.5
_SHORT_SECONDS, _OF_SECONDS = 3, 5
_LASTS_S, _LASTS_AT_MOST_S = 30.0, 300.0


class SamplingController:
    """Sets a room's `SamplingRate`. `arrived` in the reader's thread, everything else in the event loop.

    Args:
        ingest: the rates, and whether to save.
        lossless: a file that is read as fast as the recogniser follows: it is never late, and nothing is short.
    """

    def __init__(self, ingest: IngestSettings, *, lossless: bool) -> None:
        #: What the reader goes by.
        self.rate = SamplingRate(ingest.rate_hz, ingest.fast_hz)
        self._mode = ingest.load_shedding
        self._lossless = lossless
        self.rate.load_shedding = self._mode == "always"
        self._pending_since_s: float | None = None

    def set_short(self, *, short: bool) -> None:
        self.rate.load_shedding = self._mode == "always" or (self._mode == "auto" and short and not self._lossless)

    def arrived(self, frame: Frame) -> None:
        """Something new came with this frame."""
        if not self.rate.load_shedding:
            self.rate.speed_up(frame.pts_s, frame.pts_s + _ARRIVAL_S)

    def wanted(self, pts_s: float) -> None:
        """The next frame after this time of the stream is wanted soon, also while load is shed: it is seldom."""
        if not self._lossless and not self.rate.is_fast(pts_s + _WANTED_S):
            self.rate.speed_up(pts_s, pts_s + _WANTED_S)

    def passed_over(self, pts_s: float) -> None:
        """A frame was worth a look while a result was pending, which is there now: the next one soon.

        Not while load is shed: where results take long this is every other frame.
        """
        if not self.rate.load_shedding:
            self.wanted(pts_s)

    def on_result(self, detections: Detections, *, pending: bool) -> None:
        """A result was decided on; `pending`: a product is in sight that may soon be announced.

        For it the stream is sampled faster, for a while.
        """
        since_s = self._pending_since_s
        if not pending:
            if since_s is not None:
                self.rate.slow_down()
            self._pending_since_s = None
        elif since_s is None or detections.pts_s < since_s:
            self._pending_since_s = detections.pts_s
            late_s = 0.0 if self._lossless else max(0.0, time.time() - detections.captured_at_s)
            self.rate.speed_up(detections.pts_s, detections.pts_s + late_s + _SPEED_UP_S)


class LoadShedding:
    """Decides when rooms decode key frames only, since the machine cannot follow.

    A second in which a frame waited for its turn for half a second, or was replaced or grew stale there, is a short
    one. Load is shed from the third short one of five, so that a few looks at once do not slow every room down, until
    there was none for half a minute. If it has to be shed again soon after, it lasts twice as long each time, up to
    five minutes: it does not flap. `waited` and `lost` from any thread; `tick` once a second, from one.
    """

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
        """A second is over; whether to shed load in the next. `now_s` only grows."""
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
