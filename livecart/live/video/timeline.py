"""A stream's time: of a live source it tells when frames were captured and stalls, of a recording when to show them."""

import math
import threading
import time

from livecart.core.errors import StreamError
from livecart.live.video.read_guard import ReadGuard
from livecart.live.video.settings import IngestSettings
from livecart.live.video.stats import ReaderStats

#: Timestamps that go back further than frames are reordered by begin a new timeline; smaller steps are no news.
_BACK_S = 1.0
#: The least delay counts for one to two of these.
_WINDOW_S = 60.0
#: Where for one to two of these every packet is later than the least delay by more than that, delay has grown for good:
#: an encoder paused, and its timestamps go on without a gap. Frames would count as late for a minute or two.
_RECENT_S, _LATE_S = 1.5, 1.0
#: A recording's gap longer than this is not waited through.
_LONGEST_GAP_S = 60.0


class StreamStalled(StreamError):
    """The source is connected, but nothing new comes."""


class CaptureClock:
    """Maps presentation time to capture time, from when packets arrive. Seconds; arrival and capture of `monotonic`.

    A packet arrives after its capture by the encoder's, the network's and the server's delay, which jitters. The least
    delay seen is the best estimate of the fixed part, so capture = presentation time + min(arrival - presentation
    time). The minimum is taken over the last one to two minutes, because the encoder's clock and ours drift apart, and
    over the last seconds alone where all of them are late.
    """

    def __init__(self) -> None:
        self._newest_pts_s = -math.inf
        self._start_anew(0.0)
        self._last_captured_s = -math.inf

    def _start_anew(self, arrived_s: float) -> None:
        self._long, self._recent = (_LeastOffset(length_s, arrived_s) for length_s in (_WINDOW_S, _RECENT_S))

    def observe(self, pts_s: float, arrived_s: float) -> None:
        if pts_s < self._newest_pts_s - _BACK_S or not math.isfinite(self._newest_pts_s):
            self._start_anew(arrived_s)
            self._newest_pts_s = pts_s
        self._newest_pts_s = max(self._newest_pts_s, pts_s)
        for least in (self._long, self._recent):
            least.take(arrived_s - pts_s, arrived_s)
        if self._recent.is_whole and self._recent.offset_s - self._long.offset_s > _LATE_S:
            self._long = _LeastOffset(_WINDOW_S, arrived_s, self._recent.offset_s)

    def captured_s(self, pts_s: float) -> float:
        """Capture time of the frame at `pts_s`; never earlier than an answer given before."""
        self._last_captured_s = max(self._last_captured_s, pts_s + self._long.offset_s)
        return self._last_captured_s


class _LeastOffset:
    """The least of what was taken in the last one to two windows of `length_s`."""

    def __init__(self, length_s: float, now_s: float, offset_s: float = math.inf) -> None:
        self._length_s = length_s
        self._began_s = now_s
        self._current_s = offset_s
        self._previous_s = math.inf

    def take(self, offset_s: float, now_s: float) -> None:
        if now_s - self._began_s > self._length_s:
            self._previous_s, self._current_s = self._current_s, math.inf
            self._began_s = now_s
        self._current_s = min(self._current_s, offset_s)

    @property
    def offset_s(self) -> float:
        return min(self._previous_s, self._current_s)

    @property
    def is_whole(self) -> bool:
        """True once a window has passed."""
        return self._previous_s < math.inf


def wall_s(monotonic_s: float) -> float:
    """The wall clock's time at a moment of `time.monotonic`, as the wall clock is set now."""
    return monotonic_s + time.time() - time.monotonic()


class LiveTimeline:
    """Maps arrival to capture time and finds stalls: no packet, no newer packet, or none that can be decoded."""

    def __init__(self, settings: IngestSettings, guard: ReadGuard, stats: ReaderStats) -> None:
        self._clock = CaptureClock()
        self._settings = settings
        self._guard = guard
        self._stats = stats
        self._newest_pts_s: float | None = None
        self._seen_frame = False
        self._handed_on_s = time.monotonic()
        guard.expect_within(settings.stall_after_s)

    def packet_came(self, pts_s: float) -> None:
        """Take note of a packet that arrived just now.

        Raises:
            StreamStalled: packets come, but for too long none was newer, or none could be decoded.
        """
        self._clock.observe(pts_s, time.monotonic())
        newest_s = self._newest_pts_s
        if newest_s is None or pts_s > newest_s or pts_s < newest_s - _BACK_S:
            self._newest_pts_s = pts_s
            self._guard.expect_within(self._settings.stall_after_s)
        elif self._guard.overdue:
            raise StreamStalled(f"the stream repeats itself since {self._settings.stall_after_s:g} s")
        if time.monotonic() - self._handed_on_s > self._longest_without_frame_s():
            raise StreamStalled(f"no frame could be decoded for {self._longest_without_frame_s():.1f} s")

    def captured_at_s(self, pts_s: float) -> float:
        """Wall-clock capture time of a frame; earlier than the one before only where the clock was set back."""
        return wall_s(self._clock.captured_s(pts_s))

    def handed_on(self) -> None:
        """Take note that the frame was handed on, which may have taken a while."""
        self._seen_frame = True
        self._handed_on_s = time.monotonic()
        self._guard.expect_within(self._settings.stall_after_s)

    def _longest_without_frame_s(self) -> float:
        """Samples are a period apart, and the one due may have to wait for the next key frame."""
        if not self._seen_frame:
            return self._settings.first_frame_within_s
        key_distance_s = self._stats.snapshot().key_distance_s or 0.0
        return self._settings.stall_after_s + 2.0 / self._settings.rate_hz + key_distance_s


class RecordedTimeline:
    """A recording: read as fast as its frames are taken, or at its own rate."""

    def __init__(self, stopped: threading.Event, *, realtime: bool) -> None:
        self._stopped = stopped
        self._realtime = realtime
        self._began_at_s = 0.0
        self._last_pts_s: float | None = None

    def packet_came(self, pts_s: float) -> None:
        pass  # a recording does not stall

    def captured_at_s(self, pts_s: float) -> float:
        """Now; with `realtime` the beginning plus `pts_s`, once that moment has come."""
        if not self._realtime:
            return time.time()
        last_s = self._last_pts_s
        if last_s is None or not last_s <= pts_s <= last_s + _LONGEST_GAP_S:
            self._began_at_s = time.time() - pts_s
        self._last_pts_s = pts_s
        due_at_s = self._began_at_s + pts_s
        self._stopped.wait(max(0.0, due_at_s - time.time()))
        return due_at_s

    def handed_on(self) -> None:
        pass


#: What `Connection` tells about packets and frames. All presentation times in seconds.
Timeline = LiveTimeline | RecordedTimeline
