"""Geometry of boxes given as shares of the picture, so that a stream may change its size on the way."""

from __future__ import annotations

import math

from livecart.types import BoxXyxyPx

#: x1, y1, x2, y2 as shares of the picture's width and height, 0 to 1.
ShareBox = tuple[float, float, float, float]

#: A box that lies in another by this share of its own area is at the same place: a part of the same packaging.
_NESTED_SHARE = 0.7


def to_shares(box_px: BoxXyxyPx | None, width_px: int, height_px: int) -> ShareBox | None:
    """The box cut at the picture's edges; None where there is no box, or nothing of it lies in the picture."""
    if box_px is None or width_px <= 0 or height_px <= 0 or not all(map(math.isfinite, box_px)):
        return None
    x1, x2 = (min(max(x / width_px, 0.0), 1.0) for x in (box_px[0], box_px[2]))
    y1, y2 = (min(max(y / height_px, 0.0), 1.0) for y in (box_px[1], box_px[3]))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


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


def area(box: ShareBox) -> float:
    """Share of the picture's area, 0 to 1."""
    return (box[2] - box[0]) * (box[3] - box[1])


def centre(box: ShareBox) -> tuple[float, float]:
    """The middle, as shares of width and height."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def same_place(one: ShareBox | None, other: ShareBox | None, least_iou: float) -> bool:
    """Whether two boxes are one place: enough overlap, or one lies in the other. Two missing boxes are one place."""
    if one is None or other is None:
        return one is other
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return False
    common = width * height
    smaller = min(area(one), area(other))
    return common >= least_iou * (area(one) + area(other) - common) or common >= _NESTED_SHARE * smaller


def moved_share(old: ShareBox | None, new: ShareBox | None) -> float:
    """How far the edge that moved most moved, as a share of the old box's side; infinite where a box came or went."""
    if old is None or new is None:
        return 0.0 if old is new else math.inf
    sides = (old[2] - old[0], old[3] - old[1]) * 2
    return max(abs(to - at) / side for at, to, side in zip(old, new, sides, strict=True))


def blend(old: ShareBox, new: ShareBox, weight_of_new: float) -> ShareBox:
    """The box between the two, edge by edge: 0 is the old one, 1 the new one."""
    x1, y1, x2, y2 = (at + weight_of_new * (to - at) for at, to in zip(old, new, strict=True))
    return x1, y1, x2, y2
