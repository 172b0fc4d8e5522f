"""Tells which of several products in the picture the host presents: larger, moving, central."""

import math
from collections.abc import Sequence
from statistics import median

from contract.boxes import area
from livecart.core.types import ShareBox
from livecart.live.decide.boxes import centre

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
    """Prominence of a product in one frame, 0 to 1. `speed` in sides of the box per second."""
    if box is None:
        return _BOXLESS
    x, y = centre(box)
    return (
        _SIZE * min(math.sqrt(area(box) / _FULL_AREA_SHARE), 1.0)
        + _MOTION * min(speed / _FULL_SPEED, 1.0)
        + _CENTRE * (1 - math.hypot(x - 0.5, y - 0.5) / _CORNER_DISTANCE)
    )


def scene_shift(shifts: Sequence[Shift]) -> Shift:
    """The camera's movement, as the products' movements tell it: their median; of two the one that moved less.

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
