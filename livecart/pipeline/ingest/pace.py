"""How often a room's stream is sampled at the moment: told from outside, read by who decodes."""

from __future__ import annotations

import math

#: Looks closer together than this are of nearly the same picture.
_LEAST_HURRIED_HZ = 2.5


class Pace:
    """Samples per second of stream time. Any thread may set it; a reader sees it with the next packet.

    Args:
        rate_hz: as a rule.
        hurried_hz: while something comes in or is about to be decided; never slower than the rule. None: twice it,
            at least 2.5.
    """

    def __init__(self, rate_hz: float, hurried_hz: float | None = None) -> None:
        self._period_s = 1.0 / rate_hz
        self._hurried_s = min(1.0 / (hurried_hz or max(2 * rate_hz, _LEAST_HURRIED_HZ)), self._period_s)
        self._hurry_from_s = self._hurry_to_s = -math.inf
        #: Whether nothing but key frames is to be decoded, where they come often enough, as long as nothing hurries.
        self.economy = False

    def hurry(self, from_s: float, to_s: float) -> None:
        """Sample faster between these times of the stream."""
        self._hurry_from_s, self._hurry_to_s = from_s, to_s

    def relax(self) -> None:
        """Nothing hurries any more."""
        self._hurry_to_s = -math.inf

    def hurries(self, pts_s: float) -> bool:
        """Whether a frame of that time is one of those that hurry."""
        return self._hurry_from_s <= pts_s < self._hurry_to_s

    def period_s(self, pts_s: float) -> float:
        """Time between samples, seconds of the stream, at a time of it."""
        return self._hurried_s if self.hurries(pts_s) else self._period_s

    def key_frames_only(self, pts_s: float) -> bool:
        """Whether other frames are left alone at that time."""
        return self.economy and not self.hurries(pts_s)
