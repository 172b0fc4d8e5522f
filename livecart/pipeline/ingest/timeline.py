"""What a stream's time means: of a live source it says when frames were captured, of a recording when to show them."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from livecart.errors import StreamError
from livecart.pipeline.ingest.capture_time import CaptureClock
from livecart.pipeline.ingest.interrupt import ReadGuard
from livecart.pipeline.ingest.settings import IngestSettings
from livecart.pipeline.ingest.stats import ReaderStats

#: Timestamps that go back further than frames are reordered by begin a new timeline; smaller steps are no news.
_BACK_S = 1.0
#: A recording's gap longer than this is not waited through.
_LONGEST_GAP_S = 60.0


class StreamStalled(StreamError):
    """The source is connected, but nothing new comes."""


class Timeline(Protocol):
    """What `Connection` tells about packets and frames. All presentation times in seconds."""

    def packet_came(self, pts_s: float) -> None:
        """A packet arrived just now."""

    def captured_at_s(self, pts_s: float) -> float:
        """Wall-clock capture time of a frame that is about to be handed on; may wait until it is due."""

    def handed_on(self) -> None:
        """The frame was handed on, which may have taken a while."""


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
        """A packet arrived just now.

        Raises:
            StreamStalled: packets come, but for too long none was newer, or none could be decoded.
        """
        self._clock.observe(pts_s, time.time())
        newest_s = self._newest_pts_s
        if newest_s is None or pts_s > newest_s or pts_s < newest_s - _BACK_S:
            self._newest_pts_s = pts_s
            self._guard.expect_within(self._settings.stall_after_s)
        elif self._guard.overdue:
            raise StreamStalled(f"the stream repeats itself since {self._settings.stall_after_s:g} s")
        if time.monotonic() - self._handed_on_s > self._longest_without_frame_s():
            raise StreamStalled(f"no frame could be decoded for {self._longest_without_frame_s():.1f} s")

    def captured_at_s(self, pts_s: float) -> float:
        """Wall-clock capture time of a frame; never earlier than that of the frame before."""
        return self._clock.captured_at_s(pts_s)

    def handed_on(self) -> None:
        """The frame was handed on."""
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
    """A recording: read as fast as its frames are taken, or at its own pace."""

    def __init__(self, stopped: threading.Event, *, realtime: bool) -> None:
        self._stopped = stopped
        self._realtime = realtime
        self._began_at_s = 0.0
        self._last_pts_s: float | None = None

    def packet_came(self, pts_s: float) -> None:
        """Nothing to note: a recording does not stall."""

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
        """Nothing to note."""
