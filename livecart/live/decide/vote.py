"""The weight of one result, and the agreement of several.

The weight of a result for a product is the product of

    confidence   log-odds of c / log-odds of the product's threshold, 0 to 1.3; 2 where the result is certain
    size         sqrt(box's share of the picture / full_area_share), 0.4 to 1; boxless_weight without a box
    spacing      time since the last result that spoke for it / independent_after_s, 0.05 to 1
    on screen    1 + time since it came into sight / 20 s, at most 1.25

so that an ordinary result weighs 1: a confidence at the archive's threshold, a product in the hand. Log-odds of results
that know nothing of each other add up (naive Bayes): a result with twice the log-odds of the threshold, and 0.9975 at
least, is certain and counts as two; not of a product known by its name alone, since what was misread once is read so
again. Results of one show do know of each other, so that one at least must reach the threshold by itself.
"""

import math
from collections import deque
from typing import NamedTuple

from contract.boxes import area
from livecart.core.types import Detection, ShareBox
from livecart.live.decide.settings import DecisionSettings

_MOST_BY_CONFIDENCE = 1.3
#: The least confidence of a result that is certain, and how many results it is.
_CERTAIN, _CERTAIN_RESULTS = 0.9975, 2
#: Thresholds outside of this are taken for the nearer end: at 0.5 the log-odds are 0.
_THRESHOLD_BOUNDS = (0.6, 0.99)
#: Of an archive that does not say.
_USUAL_THRESHOLD = 0.7
_SIZE_FLOOR = 0.4
_SPACING_FLOOR = 0.05
_ON_SCREEN_FULL_S = 20.0
_ON_SCREEN_BONUS = 0.25
_ROUNDING = 1e-9


def weight_of(
    detection: Detection, box: ShareBox | None, since_last_s: float, on_screen_s: float, settings: DecisionSettings
) -> float:
    """Weight of one result for a product, by the module's formula. `since_last_s` is infinite for the first result."""
    by_confidence = by_confidence_of(detection)
    by_size = settings.boxless_weight
    if box is not None:
        by_size = min(max(math.sqrt(area(box) / settings.full_area_share), _SIZE_FLOOR), 1.0)
    by_spacing = 1.0
    if since_last_s < settings.independent_after_s:
        by_spacing = max(since_last_s / settings.independent_after_s, _SPACING_FLOOR)
    by_time = 1 + min(on_screen_s / _ON_SCREEN_FULL_S, _ON_SCREEN_BONUS)
    return by_confidence * by_size * by_spacing * by_time


def by_confidence_of(detection: Detection) -> float:
    """The first factor: 1 and up where the archive would show the product by itself."""
    if is_certain(detection):
        return float(_CERTAIN_RESULTS)
    lowest, highest = _THRESHOLD_BOUNDS
    threshold = min(max(_threshold_of(detection), lowest), highest)
    return min(max(_log_odds(detection.confidence) / _log_odds(threshold), 0.0), _MOST_BY_CONFIDENCE)


def is_certain(detection: Detection) -> bool:
    """True where one result is as good as two at the product's threshold."""
    by_name_alone = detection.evidence is not None and detection.evidence.photo is None
    wanted = max(2 * _log_odds(_threshold_of(detection)), _log_odds(_CERTAIN))
    return not by_name_alone and _log_odds(detection.confidence) >= wanted - _ROUNDING


def is_sure(detection: Detection) -> bool:
    """True where the archive would show the product by this result alone."""
    return detection.confidence >= _threshold_of(detection) and by_confidence_of(detection) >= 1 - _ROUNDING


def _threshold_of(detection: Detection) -> float:
    return detection.threshold or _USUAL_THRESHOLD


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))


class Vote(NamedTuple):
    """One result, or one that is as good as several.

    `weight` is below 0 where it speaks against; `alone`: the archive would show the product by it.
    """

    at_s: float
    weight: float
    confidence: float
    alone: bool
    results: int = 1


class Ballot:
    """The results of the last `window_s` for and against one product."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._settings = settings
        self._votes: deque[Vote] = deque()

    def speak_for(self, at_s: float, weight: float, detection: Detection) -> None:
        """One result named the product."""
        results = _CERTAIN_RESULTS if is_certain(detection) else 1
        self._votes.append(Vote(at_s, weight, detection.confidence, is_sure(detection), results))

    def speak_against(self, at_s: float, weight: float) -> None:
        """One result named another product at this one's place.

        Nothing speaks against a product before its own first result: a host who swaps one product for another in the
        same hand does not have to outlast the first one's votes.
        """
        if self._votes:
            self._votes.append(Vote(at_s, -self._settings.contradiction * weight, 0.0, alone=False))

    def forget_before(self, now_s: float) -> None:
        """Let votes go that are older than the window, and those against that then come first."""
        while self._votes and (self._votes[0].at_s < now_s - self._settings.window_s or self._votes[0].weight <= 0):
            self._votes.popleft()

    def clear(self) -> None:
        self._votes.clear()

    @property
    def first_at_s(self) -> float:
        """Time of the oldest result for it; infinite without any."""
        return self._votes[0].at_s if self._votes else math.inf

    @property
    def last_at_s(self) -> float:
        """Time of the newest result for it; minus infinity without any."""
        return max((vote.at_s for vote in self._votes if vote.weight > 0), default=-math.inf)

    @property
    def score(self) -> float:
        """Weights for, less weights against."""
        return sum(vote.weight for vote in self._votes)

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the results for it, 0 to 1; None without any."""
        agreeing = [vote.confidence for vote in self._votes if vote.weight > 0]
        return sum(agreeing) / len(agreeing) if agreeing else None

    @property
    def decided(self) -> bool:
        """Enough results agree, too few contradict them, and one of them would have been enough for the archive."""
        wanted = self._settings.agreeing_results
        agreeing = [vote for vote in self._votes if vote.weight > 0]
        any_sure = any(vote.alone for vote in agreeing)
        results = sum(vote.results for vote in agreeing)
        return any_sure and results >= wanted and self.score >= wanted - _ROUNDING
