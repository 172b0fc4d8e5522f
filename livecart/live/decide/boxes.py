"""Geometry of boxes given as shares of the picture, so that a stream may change its size on the way."""

import math

from contract.boxes import BoxXyxyPx, area, clip, intersection, iou
from livecart.core.types import ShareBox

#: A box that lies in another by this share of its own area is at the same place: a part of the same packaging.
_NESTED_SHARE = 0.7


def to_shares(box_px: BoxXyxyPx | None, width_px: int, height_px: int) -> ShareBox | None:
    """The box cut at the picture's edges; None where there is no box, or nothing of it lies in the picture."""
    if box_px is None or width_px <= 0 or height_px <= 0 or not all(map(math.isfinite, box_px)):
        return None
    x1, y1, x2, y2 = box_px
    return clip((x1 / width_px, y1 / height_px, x2 / width_px, y2 / height_px), 1.0, 1.0)


def to_pixels(box: ShareBox | None, width_px: int, height_px: int) -> BoxXyxyPx | None:
    """In pixels of a picture of that size, to a tenth of a pixel."""
    if box is None:
        return None
    x1, y1, x2, y2 = box
    return (
        round(x1 * width_px, 1),
        round(y1 * height_px, 1),
        round(x2 * width_px, 1),
        round(y2 * height_px, 1),
    )


def centre(box: ShareBox) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def same_place(one: ShareBox | None, other: ShareBox | None, least_iou: float) -> bool:
    """True where two boxes are one place: enough overlap, or one lies in the other. Two missing boxes are one place."""
    if one is None or other is None:
        return one is other
    common = intersection(one, other)
    return common > 0 and (iou(one, other) >= least_iou or common >= _NESTED_SHARE * min(area(one), area(other)))


def moved_share(old: ShareBox | None, new: ShareBox | None) -> float:
    """Distance of the edge that moved most, as a share of the old box's side; infinite where a box came or went."""
    if old is None or new is None:
        return 0.0 if old is new else math.inf
    sides = (old[2] - old[0], old[3] - old[1]) * 2
    return max(abs(to - at) / side for at, to, side in zip(old, new, sides, strict=True))


def blend(old: ShareBox, new: ShareBox, weight_of_new: float) -> ShareBox:
    """The box between the two, edge by edge: 0 is the old one, 1 the new one."""
    x1, y1, x2, y2 = (at + weight_of_new * (to - at) for at, to in zip(old, new, strict=True))
    return x1, y1, x2, y2
