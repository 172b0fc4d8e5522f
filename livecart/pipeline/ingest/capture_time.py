"""When a live frame was captured, by this machine's clock, from when packets arrived.

A packet arrives after its capture by the encoder's, the network's and the server's delay, which jitters. The least
delay seen is the best estimate of the fixed part, so capture = presentation time + min(arrival - presentation time).
The minimum is taken over the last one to two minutes, because the encoder's clock and ours drift apart.
"""

from __future__ import annotations

import math

_WINDOW_S = 60.0
#: Timestamps that go back further than frames are reordered by begin a new timeline.
_BACK_S = 1.0


class CaptureClock:
    """Maps presentation time to wall-clock capture time. Both in seconds."""

    def __init__(self) -> None:
        self._newest_pts_s = -math.inf
        self._start_anew(0.0)
        self._last_captured_s = -math.inf

    def _start_anew(self, arrived_at_s: float) -> None:
        self._window_began_s = arrived_at_s
        self._previous_offset_s = math.inf
        self._offset_s = math.inf

    def observe(self, pts_s: float, arrived_at_s: float) -> None:
        """A packet, decoded or not, arrived at wall-clock time `arrived_at_s`."""
        if pts_s < self._newest_pts_s - _BACK_S or not math.isfinite(self._newest_pts_s):
            self._start_anew(arrived_at_s)
            self._newest_pts_s = pts_s
        self._newest_pts_s = max(self._newest_pts_s, pts_s)
        if arrived_at_s - self._window_began_s > _WINDOW_S:
            self._previous_offset_s, self._offset_s = self._offset_s, math.inf
            self._window_began_s = arrived_at_s
        self._offset_s = min(self._offset_s, arrived_at_s - pts_s)

    def captured_at_s(self, pts_s: float) -> float:
        """Wall-clock time of the frame at `pts_s`; never earlier than an answer given before."""
        captured_s = pts_s + min(self._offset_s, self._previous_offset_s)
        self._last_captured_s = max(self._last_captured_s, captured_s)
        return self._last_captured_s
