"""One product of one room: where it is, since when it is seen, what speaks for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from livecart.pipeline.decision.boxes import ShareBox, blend, same_place
from livecart.pipeline.decision.cards import LiveCard
from livecart.pipeline.decision.competition import prominence
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.sightings import Sighting
from livecart.pipeline.decision.vote import Ballot
from livecart.types import Candidate

#: Looks in a row without a product before it counts as absent: one may miss it.
MISSES = 2
#: Time constant of prominence: a product does not become the main one by one look.
_PROMINENCE_S = 1.5


@dataclass(slots=True)
class TrackedProduct:
    """What a room knows of one product. Times are the room's (stream_clock.py)."""

    candidate: Candidate
    ballot: Ballot
    last_seen_s: float
    #: Start of the stretch of time in which it has been in sight.
    in_sight_since_s: float
    box: ShareBox | None = None
    #: The box as seen last, before smoothing.
    seen_box: ShareBox | None = None
    #: Looks in a row without it; 0: it was in the last one.
    missed_looks: int = 0
    prominence: float = 0.0
    challenges_since_s: float | None = None
    #: When it was announced last, as far as that still matters (dedupe.py).
    announced_at_s: float | None = None
    card: LiveCard | None = field(default=None)
    #: Why the shop's answer kept it from being shown, as long as it does.
    refusal: str | None = None

    @property
    def sku(self) -> str:
        """Its sku."""
        return self.candidate.sku

    @property
    def in_last_look(self) -> bool:
        """Whether the last look saw it."""
        return self.missed_looks == 0

    @property
    def first_vote_s(self) -> float:
        """When the oldest look that still speaks for it was; infinite without any."""
        return self.ballot.first_at_s

    def see(self, sighting: Sighting, at_s: float, speed: float, settings: DecisionSettings) -> None:
        """Take in a look that holds it. `speed` as in competition.py."""
        step_s = max(at_s - self.last_seen_s, 0.0)
        if step_s >= settings.absence_s:
            self.in_sight_since_s = at_s
        self.candidate = sighting.candidate
        self._follow(sighting.box, step_s, settings)
        fresh = prominence(sighting.box, speed)
        gain = 1 - math.exp(-step_s / _PROMINENCE_S) if self.prominence else 1.0
        self.prominence += gain * (fresh - self.prominence)
        self.last_seen_s = max(self.last_seen_s, at_s)
        self.missed_looks = 0

    def miss(self) -> None:
        """Take in a look that does not hold it."""
        self.missed_looks += 1
        self.challenges_since_s = None

    def follow(self, box: ShareBox, at_s: float, settings: DecisionSettings) -> None:
        """It was followed to there, without a look."""
        self._follow(box, max(at_s - self.last_seen_s, 0.0), settings)
        self.still_there(at_s)

    def still_there(self, at_s: float) -> None:
        """The picture is the one in which it was seen."""
        self.last_seen_s = max(self.last_seen_s, at_s)

    def absent(self, now_s: float, settings: DecisionSettings) -> bool:
        """Out of sight for long enough, and not by one look alone."""
        return self.missed_looks >= MISSES and now_s - self.last_seen_s >= settings.absence_s

    def _follow(self, box: ShareBox | None, step_s: float, settings: DecisionSettings) -> None:
        self.seen_box = box
        if box is None or self.box is None or not same_place(self.box, box, settings.same_place_iou):
            # A jump is no jitter: smoothing it would put the card where the product never was.
            self.box = box if box is not None else self.box
        elif settings.smoothing_s <= 0:
            self.box = box
        else:
            self.box = blend(self.box, box, 1 - math.exp(-step_s / settings.smoothing_s))
