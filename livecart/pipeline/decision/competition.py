"""Which of several products in the picture is the one the host presents: larger, moving, central."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Protocol, TypeVar

from livecart.pipeline.decision.boxes import ShareBox, area, centre

#: Shares of prominence. A product in the hand is near the camera; movement is what a table of products lacks.
_SIZE, _MOTION, _CENTRE = 0.5, 0.3, 0.2
#: A box of this share of the picture is as large as size counts.
_FULL_AREA_SHARE = 0.25
#: Movement against the scene, in sides of the box per second, that counts in full.
_FULL_SPEED = 0.5
#: Prominence of a product that only a label of the whole frame spoke for.
_BOXLESS = 0.1
_CORNER_DISTANCE = math.hypot(0.5, 0.5)

#: dx, dy of a box's middle, in shares of the picture's width and height.
Shift = tuple[float, float]


def prominence(box: ShareBox | None, speed: float) -> float:
    """How much a product is the main one in one look, 0 to 1. `speed` in sides of the box per second."""
    if box is None:
        return _BOXLESS
    x, y = centre(box)
    return (
        _SIZE * min(math.sqrt(area(box) / _FULL_AREA_SHARE), 1.0)
        + _MOTION * min(speed / _FULL_SPEED, 1.0)
        + _CENTRE * (1 - math.hypot(x - 0.5, y - 0.5) / _CORNER_DISTANCE)
    )


def scene_shift(shifts: Sequence[Shift]) -> Shift:
    """How the camera moved, seen from how the products moved: their median; of two the one that moved less.

    With one product nothing tells the camera from the hand: no shift.
    """
    if len(shifts) < 2:
        return 0.0, 0.0
    if len(shifts) == 2:
        return min(shifts, key=lambda shift: math.hypot(*shift))
    return median(x for x, _ in shifts), median(y for _, y in shifts)


def speed_of(box: ShareBox, shift: Shift, scene: Shift, step_s: float) -> float:
    """Movement against the scene in sides of the box per second; 0 where no time passed."""
    if step_s <= 0:
        return 0.0
    across = (shift[0] - scene[0]) / (box[2] - box[0])
    down = (shift[1] - scene[1]) / (box[3] - box[1])
    return math.hypot(across, down) / step_s


class Contender(Protocol):
    """What the competition knows of a product."""

    prominence: float
    challenges_since_s: float | None
    last_seen_s: float

    @property
    def first_vote_s(self) -> float:
        """When the oldest look that still speaks for it was."""


C = TypeVar("C", bound=Contender)


def note_challenge(rival: Contender, holders: Iterable[Contender], margin: float, now_s: float) -> None:
    """Keep since when the rival has been clearly more prominent than the weakest product that holds a card."""
    weakest = min((holder.prominence for holder in holders), default=None)
    if weakest is None or rival.prominence <= weakest * (1 + margin):
        rival.challenges_since_s = None
    elif rival.challenges_since_s is None:
        rival.challenges_since_s = now_s


def loser_to(rival: Contender, holders: Sequence[C], replace_after_s: float, now_s: float) -> C | None:
    """The holder of a card that the rival, a decided product, takes the place of; None: it has to wait.

    A holder that was last seen before the rival's first look has been put away for it. One that is in sight gives
    way only to a challenge that lasted: two products side by side do not take turns.
    """
    put_away = [holder for holder in holders if holder.last_seen_s < rival.first_vote_s]
    if put_away:
        return min(put_away, key=lambda holder: holder.last_seen_s)
    if rival.challenges_since_s is None or now_s - rival.challenges_since_s < replace_after_s:
        return None
    return min(holders, key=lambda holder: holder.prominence, default=None)
