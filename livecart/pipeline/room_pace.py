"""How fast a room's stream is sampled: faster while something comes in or is about to be decided."""

from __future__ import annotations

import time

from livecart.pipeline.ingest import IngestSettings, Pace
from livecart.types import Frame, Look

#: How long the stream is sampled faster for one decision, and when something new comes: a product that is still being
#: brought in is whole half a second later.
_HURRY_S, _ARRIVAL_S = 1.5, 0.5
#: The same where the next good frame is wanted: the gate may pass some over as blurred.
_WANTED_S = 1.0


class RoomPace:
    """Sets a room's `Pace`. `arrived` in the reader's thread, everything else in the event loop.

    Args:
        ingest: the rates, and whether to save.
        lossless: a file that is read as fast as the recogniser follows: it is never late, and nothing is short.
    """

    def __init__(self, ingest: IngestSettings, *, lossless: bool) -> None:
        #: What the reader goes by.
        self.pace = Pace(ingest.rate_hz, ingest.hurried_hz)
        self._mode = ingest.economy
        self._lossless = lossless
        self.pace.economy = self._mode == "always"
        self._deciding_since_s: float | None = None

    def set_short(self, *, short: bool) -> None:
        """Whether the machine cannot follow all rooms."""
        self.pace.economy = self._mode == "always" or (self._mode == "auto" and short and not self._lossless)

    def arrived(self, frame: Frame) -> None:
        """Something new came with this frame."""
        if not self.pace.economy:
            self.pace.hurry(frame.pts_s, frame.pts_s + _ARRIVAL_S)

    def wanted(self, pts_s: float) -> None:
        """The next frame after this time of the stream is wanted soon; also in economy, since that is seldom."""
        if not self._lossless and not self.pace.hurries(pts_s + _WANTED_S):
            self.pace.hurry(pts_s, pts_s + _WANTED_S)

    def passed_over(self, pts_s: float) -> None:
        """A frame was worth a look, and an answer was awaited, which is there now: the next one soon.

        Not in economy: where answers take long this is every other frame.
        """
        if not self.pace.economy:
            self.wanted(pts_s)

    def decided(self, look: Look, *, deciding: bool) -> None:
        """A look was decided on; `deciding`: a product is in sight that may soon be announced.

        For it the stream is sampled faster, for a while.
        """
        since_s = self._deciding_since_s
        if not deciding:
            if since_s is not None:
                self.pace.relax()
            self._deciding_since_s = None
        elif since_s is None or look.pts_s < since_s:
            self._deciding_since_s = look.pts_s
            late_s = 0.0 if self._lossless else max(0.0, time.time() - look.captured_at_s)
            self.pace.hurry(look.pts_s, look.pts_s + late_s + _HURRY_S)
