"""The rate asked for, when samples are due, and how far apart key frames are. Arithmetic on stream time, in seconds."""

import math
from collections import deque

#: Timestamps are rounded to milliseconds in FLV and RTMP: a frame so little early is on time.
ROUNDING_S = 0.005
#: Share of the period that a key frame may be off its sample's time when other frames are decoded as well.
KEY_TOLERANCE = 0.1
#: Distances between key frames that are remembered, and how many must be known before they are trusted.
_REMEMBERED, _TRUSTED = 4, 2
#: No encoder's distance is longer; it is a jump of the timestamps.
_LONGEST_DISTANCE_S = 60.0
#: Samples closer together than this are of nearly the same picture.
_LEAST_FAST_HZ = 2.5


class SamplingRate:
    """Samples per second of stream time. Any thread may set it; a reader sees it with the next packet.

    Args:
        rate_hz: as a rule.
        fast_hz: while something comes in or is about to be decided; never slower than the rule. None: twice it,
            at least 2.5.
    """

    def __init__(self, rate_hz: float, fast_hz: float | None = None) -> None:
        self._period_s = 1.0 / rate_hz
        self._fast_s = min(1.0 / (fast_hz or max(2 * rate_hz, _LEAST_FAST_HZ)), self._period_s)
        self._fast_from_s = self._fast_to_s = -math.inf
        #: Whether nothing but key frames is to be decoded, where they come often enough, except while sampling is fast.
        self.load_shedding = False

    def speed_up(self, from_s: float, to_s: float) -> None:
        self._fast_from_s, self._fast_to_s = from_s, to_s

    def slow_down(self) -> None:
        self._fast_to_s = -math.inf

    def is_fast(self, pts_s: float) -> bool:
        """True between the times of the last `speed_up`."""
        return self._fast_from_s <= pts_s < self._fast_to_s

    def period_s(self, pts_s: float) -> float:
        """Time between samples, seconds of the stream, at a time of it."""
        return self._fast_s if self.is_fast(pts_s) else self._period_s

    def key_frames_only(self, pts_s: float) -> bool:
        """True where other frames are left alone at that time."""
        return self.load_shedding and not self.is_fast(pts_s)


class SampleGrid:
    """Sample times at a fixed period, counted from the first frame, so that the rate holds on average."""

    def __init__(self, rate_hz: float) -> None:
        self.period_s = 1.0 / rate_hz
        #: Time of the next sample; None before the first frame: the first one is wanted whenever it comes.
        self.due_s: float | None = None
        #: The time at which the last sample was due.
        self._taken_s: float | None = None
        self._last_pts_s: float | None = None

    def set_period(self, period_s: float) -> None:
        """Sample at this period from now on, counted from the last sample."""
        changed, self.period_s = period_s != self.period_s, period_s
        if changed and self._taken_s is not None:
            self.due_s = self._taken_s + period_s

    def take(self, pts_s: float, early_s: float = ROUNDING_S) -> bool:
        """Sample the frame at `pts_s` if it is due; up to `early_s` too early will do. Returns whether it was.

        A frame that was sampled is not sampled again: a key frame is decoded anew for those that refer to it.
        """
        if self.due_s is None:
            self.due_s = pts_s
        if pts_s < self.due_s - early_s or pts_s == self._last_pts_s:
            return False
        self._last_pts_s = pts_s
        missed = max(0, int((pts_s + ROUNDING_S - self.due_s) // self.period_s))
        self._taken_s = self.due_s + missed * self.period_s
        self.due_s = self._taken_s + self.period_s
        return True

    def is_jump_back(self, pts_s: float) -> bool:
        """True where the timestamps went back by so much that it would be long until the next sample is due."""
        return self.due_s is not None and pts_s < self.due_s - 2 * self.period_s

    def follow_jump(self, pts_s: float) -> None:
        """Begin again at `pts_s` if that is a jump back."""
        if self.is_jump_back(pts_s):
            self.due_s, self._taken_s = pts_s, None


class KeyFrameDistance:
    """The distance between key frames, from those that came."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._distances_s: deque[float] = deque(maxlen=_REMEMBERED)

    def push(self, key_pts_s: float) -> None:
        if self._last_s is not None and 0.0 < key_pts_s - self._last_s < _LONGEST_DISTANCE_S:
            self._distances_s.append(key_pts_s - self._last_s)
        self._last_s = key_pts_s

    def forget(self) -> None:
        """Measure again: the distance has changed."""
        self._distances_s.clear()

    @property
    def longest_s(self) -> float | None:
        """Longest of the last distances; None while too few are known."""
        return max(self._distances_s) if len(self._distances_s) >= _TRUSTED else None

    @property
    def next_key_s(self) -> float | None:
        """Latest time of the next key frame; None while that is not known."""
        if self._last_s is None or self.longest_s is None:
            return None
        return self._last_s + self.longest_s

    def is_overdue(self, pts_s: float) -> bool:
        """True where the next key frame should have come half a distance ago."""
        if self.next_key_s is None or self.longest_s is None:
            return False
        return pts_s > self.next_key_s + self.longest_s / 2
