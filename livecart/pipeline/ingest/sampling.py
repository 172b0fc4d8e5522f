"""When the next frame is wanted, and how far apart key frames are. Plain arithmetic on stream time, in seconds."""

from __future__ import annotations

from collections import deque

#: Timestamps are rounded to milliseconds in FLV and RTMP: a frame so little early is on time.
ROUNDING_S = 0.005
#: Share of the period that a key frame may be off its sample's time when other frames are decoded as well.
KEY_TOLERANCE = 0.1
#: Distances between key frames that are remembered, and how many must be known before they are trusted.
_REMEMBERED, _TRUSTED = 4, 2
#: No encoder's distance is longer; it is a jump of the timestamps.
_LONGEST_DISTANCE_S = 60.0


class SampleGrid:
    """Sample times at a fixed period, counted from the first frame, so that the rate holds on average."""

    def __init__(self, rate_hz: float) -> None:
        self.period_s = 1.0 / rate_hz
        self._due_s: float | None = None
        #: The time at which the last sample was due.
        self._taken_s: float | None = None
        self._last_pts_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """Time of the next sample; None before the first frame: the first one is wanted whenever it comes."""
        return self._due_s

    def set_period(self, period_s: float) -> None:
        """Sample at another period from now on, counted from the last sample."""
        self.period_s = period_s
        if self._taken_s is not None:
            self._due_s = self._taken_s + period_s

    def take(self, pts_s: float, early_s: float = ROUNDING_S) -> bool:
        """Whether the frame at `pts_s` is to be sampled; up to `early_s` too early will do. Counts it if so.

        A frame that was sampled is not sampled again: a key frame is decoded anew for those that refer to it.
        """
        if self._due_s is None:
            self._due_s = pts_s
        if pts_s < self._due_s - early_s or pts_s == self._last_pts_s:
            return False
        self._last_pts_s = pts_s
        missed = max(0, int((pts_s + ROUNDING_S - self._due_s) // self.period_s))
        self._taken_s = self._due_s + missed * self.period_s
        self._due_s = self._taken_s + self.period_s
        return True

    def is_jump_back(self, pts_s: float) -> bool:
        """Whether the timestamps went back by so much that it would be long until the next sample is due."""
        return self._due_s is not None and pts_s < self._due_s - 2 * self.period_s

    def follow_jump(self, pts_s: float) -> None:
        """Begin again at `pts_s` if that is a jump back."""
        if self.is_jump_back(pts_s):
            self._due_s, self._taken_s = pts_s, None


class KeyFrameDistance:
    """The distance between key frames, from those that came."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._distances_s: deque[float] = deque(maxlen=_REMEMBERED)

    def push(self, key_pts_s: float) -> None:
        """A key frame came."""
        if self._last_s is not None and 0.0 < key_pts_s - self._last_s < _LONGEST_DISTANCE_S:
            self._distances_s.append(key_pts_s - self._last_s)
        self._last_s = key_pts_s

    def forget(self) -> None:
        """What was measured holds no longer; measure again."""
        self._distances_s.clear()

    @property
    def longest_s(self) -> float | None:
        """Longest of the last distances; None while too few are known."""
        return max(self._distances_s) if len(self._distances_s) >= _TRUSTED else None

    @property
    def next_key_s(self) -> float | None:
        """When the next key frame should be here at the latest; None while that is not known."""
        if self._last_s is None or self.longest_s is None:
            return None
        return self._last_s + self.longest_s

    def is_overdue(self, pts_s: float) -> bool:
        """Whether the next key frame should long have come, by half a distance."""
        if self.next_key_s is None or self.longest_s is None:
            return False
        return pts_s > self.next_key_s + self.longest_s / 2
