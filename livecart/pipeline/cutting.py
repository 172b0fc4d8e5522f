"""Cuts a product out of a picture: never most of the picture, never a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from livecart.pipeline.ingest.picture import ArrayPicture
from livecart.types import BoxXyxyPx, Picture

#: Longest side of a crop.
LONGEST_SIDE_PX = 400
#: On each side, as a share of the box's longer side; left out where a face is in it.
_BORDER = 0.08
#: A box of more than this share of the picture is no product's but the scene's.
_MOST_OF_PICTURE = 0.7
_LEAST_SIDE_PX = 32
#: Detectors' boxes end at chin and forehead: that much of the face's longer side more is face, too.
_FACE_BORDER = 0.15

#: Why nothing was cut out: the box is the scene's, or too small to tell anything, or holds a face.
CutRefusal = Literal["scene", "small", "face"]


def cut_out(picture: Picture, box_xyxy_px: BoxXyxyPx, faces: Sequence[BoxXyxyPx]) -> bytes | CutRefusal:
    """The product as JPEG, no side longer than 400 px; a word where it must not be kept.

    Args:
        picture: it is in.
        box_xyxy_px: around it, in pixels of the picture.
        faces: every face of the picture.
    """
    width_px, height_px = picture.width_px, picture.height_px
    bare = grown_within(box_xyxy_px, 0.0, width_px, height_px)
    if min(bare[2] - bare[0], bare[3] - bare[1]) < _LEAST_SIDE_PX:
        return "small"
    if _area(bare) > _MOST_OF_PICTURE * width_px * height_px:
        return "scene"
    near = [grown_within(face, _FACE_BORDER, width_px, height_px) for face in faces]
    bordered = grown_within(box_xyxy_px, _BORDER, width_px, height_px)
    for box in (bordered, bare):
        if not any(_overlap(box, face) for face in near) and _area(box) <= _MOST_OF_PICTURE * width_px * height_px:
            return _jpeg(picture, box)
    return "face"


def grown_within(box: BoxXyxyPx, share: float, width_px: int, height_px: int) -> BoxXyxyPx:
    """The box with so much of its longer side more on each side, as far as it is in the picture."""
    by = share * max(box[2] - box[0], box[3] - box[1])
    x1, y1 = max(0.0, box[0] - by), max(0.0, box[1] - by)
    return x1, y1, min(float(width_px), box[2] + by), min(float(height_px), box[3] + by)


def _area(box: BoxXyxyPx) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _overlap(one: BoxXyxyPx, other: BoxXyxyPx) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _jpeg(picture: Picture, box: BoxXyxyPx) -> bytes:
    # Scaled whole, then cut: the picture's colours are converted at the crop's scale, not at the stream's.
    scale = min(1.0, LONGEST_SIDE_PX / max(box[2] - box[0], box[3] - box[1]))
    width_px, height_px = max(1, round(picture.width_px * scale)), max(1, round(picture.height_px * scale))
    across, down = width_px / picture.width_px, height_px / picture.height_px
    # Inwards: rounding takes in nothing from outside of the box.
    x1, y1 = -int(-box[0] * across // 1), -int(-box[1] * down // 1)
    x2, y2 = int(box[2] * across), int(box[3] * down)
    pixels = picture.thumbnail(width_px, height_px)[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return ArrayPicture(pixels).jpeg(LONGEST_SIDE_PX)[0]
