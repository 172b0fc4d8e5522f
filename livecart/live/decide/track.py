"""One product of one room: where it is, since when it is seen, what speaks for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from livecart.core.types import Detection, ShareBox
from livecart.live.decide.boxes import blend, same_place
from livecart.live.decide.cards import LiveCard
from livecart.live.decide.competition import prominence
from livecart.live.decide.detections import PlacedDetection
from livecart.live.decide.settings import DecisionSettings
from livecart.live.decide.vote import Ballot

#: Results in a row without a product before it counts as absent: one may miss it.
MISSES = 2
#: Time constant of prominence: a product does not become the main one by one result.
_PROMINENCE_S = 1.5


@dataclass(slots=True)
class Track:
    """One product of one room. Times are the room's (stream_clock.py)."""

    detection: Detection
    ballot: Ballot = field(compare=False)
    last_seen_s: float
    #: Start of the stretch of time in which it has been in sight.
    in_sight_since_s: float
    box: ShareBox | None = None
    #: The box as seen last, before smoothing.
    seen_box: ShareBox | None = None
    #: Results in a row without it; 0: it was in the last one.
    misses: int = 0
    prominence: float = 0.0
    challenges_since_s: float | None = None
    #: When it was announced last, as far as that still matters (`may_announce`).
    announced_at_s: float | None = None
    card: LiveCard | None = None
    #: Why the shop's answer kept it from being shown, as long as it does.
    refusal: str | None = None

    @property
    def sku(self) -> str:
        return self.detection.sku

    @property
    def is_seen(self) -> bool:
        """True where the last result has it."""
        return self.misses == 0

    @property
    def first_vote_s(self) -> float:
        """Time of the oldest result that still speaks for it; infinite without any."""
        return self.ballot.first_at_s

    def saved(self, settings: DecisionSettings) -> Track:
        """A copy for another runner. Not seen: the picture that it was seen in is not the one to come."""
        return replace(
            self,
            ballot=Ballot(settings),
            seen_box=None,
            misses=max(self.misses, 1),
            challenges_since_s=None,
            card=None if self.card is None else replace(self.card),
            refusal=None,
        )

    def see(self, placed: PlacedDetection, at_s: float, speed: float, settings: DecisionSettings) -> None:
        """Take in a result that has it. `speed` as in competition.py."""
        step_s = max(at_s - self.last_seen_s, 0.0)
        if step_s >= settings.absence_s:
            self.in_sight_since_s = at_s
        self.detection = placed.detection
        self._place(placed.box, step_s, settings)
        fresh = prominence(placed.box, speed)
        gain = 1 - math.exp(-step_s / _PROMINENCE_S) if self.prominence else 1.0
        self.prominence += gain * (fresh - self.prominence)
        self.last_seen_s = max(self.last_seen_s, at_s)
        self.misses = 0

    def miss(self) -> None:
        self.misses += 1
        self.challenges_since_s = None

    def move(self, box: ShareBox, at_s: float, settings: DecisionSettings) -> None:
        """It was tracked to there, without a result."""
        self._place(box, max(at_s - self.last_seen_s, 0.0), settings)
        self.still_there(at_s)

    def still_there(self, at_s: float) -> None:
        """The picture is the one in which it was seen."""
        self.last_seen_s = max(self.last_seen_s, at_s)

    def absent(self, now_s: float, settings: DecisionSettings) -> bool:
        """Out of sight for long enough, and not by one result alone."""
        return self.misses >= MISSES and now_s - self.last_seen_s >= settings.absence_s

    def _place(self, box: ShareBox | None, step_s: float, settings: DecisionSettings) -> None:
        self.seen_box = box
        if box is None or self.box is None or not same_place(self.box, box, settings.same_place_iou):
            # A jump is no jitter: smoothing it would put the card where the product never was.
            self.box = box if box is not None else self.box
        elif settings.smoothing_s <= 0:
            self.box = box
        else:
            self.box = blend(self.box, box, 1 - math.exp(-step_s / settings.smoothing_s))


def may_announce(product: Track, now_s: float, settings: DecisionSettings) -> bool:
    """True where the product is new, or was announced long enough ago. One that was long out of sight is new."""
    if product.announced_at_s is None:
        return True
    return settings.again_every_s is not None and now_s - product.announced_at_s >= settings.again_every_s


def forget_absent(products: dict[str, Track], now_s: float, settings: DecisionSettings, pinned: str | None) -> None:
    """Drop what was out of sight for so long that nothing of it matters any more; this also bounds memory.

    Called before a result is taken in, so that a product that comes back in it is a new one. What is known of a pinned
    one is kept.
    """
    for sku, product in list(products.items()):
        keep_s = settings.window_s
        if product.announced_at_s is not None:
            keep_s = max(keep_s, settings.again_after_absence_s)
        idle = product.card is None and sku != pinned and product.misses > 0
        if idle and now_s - product.last_seen_s >= keep_s:
            del products[sku]
