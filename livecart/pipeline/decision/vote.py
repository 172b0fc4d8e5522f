"""How much one look counts, and when looks agree.

The weight of a look for a product is the product of

    confidence   c / full_confidence, 0.25 to 1.3
    size         sqrt(box's share of the picture / full_area_share), 0.4 to 1; boxless_weight without a box
    spacing      time since the last look that spoke for it / independent_after_s, 0.05 to 1
    on screen    1 + time since it came into sight / 20 s, at most 1.25

so that an ordinary look weighs 1: a confidence at the archive's threshold, a product in the hand. The bounds are
choices: no look is worth nothing, and no single one is worth two.
"""

from __future__ import annotations

import math
from collections import deque

from livecart.pipeline.decision.boxes import ShareBox, area
from livecart.pipeline.decision.settings import DecisionSettings

_CONFIDENCE_BOUNDS = (0.25, 1.3)
_SIZE_FLOOR = 0.4
_SPACING_FLOOR = 0.05
_ON_SCREEN_FULL_S = 20.0
_ON_SCREEN_BONUS = 0.25
_ROUNDING = 1e-9


def weight_of(
    confidence: float, box: ShareBox | None, since_last_s: float, on_screen_s: float, settings: DecisionSettings
) -> float:
    """Weight of one look for a product, by the module's formula. `since_last_s` is infinite for the first look."""
    lowest, highest = _CONFIDENCE_BOUNDS
    by_confidence = min(max(confidence / settings.full_confidence, lowest), highest)
    by_size = settings.boxless_weight
    if box is not None:
        by_size = min(max(math.sqrt(area(box) / settings.full_area_share), _SIZE_FLOOR), 1.0)
    by_spacing = 1.0
    if since_last_s < settings.independent_after_s:
        by_spacing = max(since_last_s / settings.independent_after_s, _SPACING_FLOOR)
    by_time = 1 + min(on_screen_s / _ON_SCREEN_FULL_S, _ON_SCREEN_BONUS)
    return by_confidence * by_size * by_spacing * by_time


class Ballot:
    """The looks of the last `window_s` for and against one product."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._settings = settings
        #: (time, weight, confidence); against: a weight below 0.
        self._votes: deque[tuple[float, float, float]] = deque()

    def speak_for(self, at_s: float, weight: float, confidence: float) -> None:
        """One look named the product."""
        self._votes.append((at_s, weight, confidence))

    def speak_against(self, at_s: float, weight: float) -> None:
        """One look named another product at this one's place.

        Nothing speaks against a product before its own first look: a host who swaps one product for another in the
        same hand does not have to outlast the first one's votes.
        """
        if self._votes:
            self._votes.append((at_s, -self._settings.contradiction * weight, 0.0))

    def forget_before(self, now_s: float) -> None:
        """Let votes go that are older than the window, and those against that then come first."""
        while self._votes and (self._votes[0][0] < now_s - self._settings.window_s or self._votes[0][1] <= 0):
            self._votes.popleft()

    def clear(self) -> None:
        """As if no look had been."""
        self._votes.clear()

    @property
    def first_at_s(self) -> float:
        """When the oldest look for it was; infinite without any."""
        return self._votes[0][0] if self._votes else math.inf

    @property
    def last_at_s(self) -> float:
        """When the newest look for it was; minus infinity without any."""
        return max((at_s for at_s, weight, _ in self._votes if weight > 0), default=-math.inf)

    @property
    def score(self) -> float:
        """Weights for, less weights against."""
        return sum(weight for _, weight, _ in self._votes)

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the looks for it, 0 to 1; None without any."""
        agreeing = [confidence for _, weight, confidence in self._votes if weight > 0]
        return sum(agreeing) / len(agreeing) if agreeing else None

    @property
    def decided(self) -> bool:
        """Enough looks agree, and too few contradict them."""
        wanted = self._settings.agreeing_looks
        agreeing = sum(1 for _, weight, _ in self._votes if weight > 0)
        return agreeing >= wanted and self.score >= wanted - _ROUNDING
