"""Pictures that are no single photo, by plain statistics of their pixels: collages, size charts, pictures full of text.

Drawn ones and real photos are told apart as docs/catalog-service.md says; a person decides. No text is read.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: `""`: a photo as any other.
Layout = Literal["", "collage", "text"]
Rgb = NDArray[np.int16]
#: Longer side to which a picture is made smaller before it is looked at.
SIDE_PX = 320
#: A smaller one is not judged.
_LEAST_PX = 100
#: Of 255: between two pieces of a collage; within a plain margin; between a letter and what is around it.
_STEP, _PLAIN, _CONTRAST = 24, 16, 70
#: A seam's step goes through so much of the picture, and is no part of a pattern.
_SEAM_SHARE = 0.75
#: A page: so much of it has its background's colour, and a row crosses so many letters.
_PAGE_SHARE, _PAGE_RUNS = 0.55, 5
#: Of all pixels: strokes of one and the same colour.
_STROKE_SHARE, _STROKE_PX = 0.014, 5


def layout_of(pixels: NDArray[np.uint8]) -> Layout:
    """The layout of an RGB picture whose longer side is `SIDE_PX` or less."""
    rgb = pixels.astype(np.int16)
    if min(rgb.shape[:2]) < _LEAST_PX:
        return ""
    if _is_page(rgb):
        return "text"
    photo = _without_margins(rgb)
    if min(photo.shape[:2]) < _LEAST_PX:
        return ""
    # Strokes first: a banner behind text has a seam too.
    if _has_strokes(rgb):
        return "text"
    return "collage" if max(_seam(photo), _seam(photo.transpose(1, 0, 2))) >= _SEAM_SHARE else ""


def _is_page(rgb: Rgb) -> bool:
    codes = _codes(rgb).ravel()
    commonest = np.bincount(codes, minlength=4096).argmax()
    colour = np.median(rgb.reshape(-1, 3)[codes == commonest], axis=0)
    ink = np.abs(rgb - colour).max(axis=2) >= _PLAIN
    if ink.mean() > 1 - _PAGE_SHARE:
        return False
    runs = (ink[:, 1:] & ~ink[:, :-1]).sum(axis=1)[ink.mean(axis=1) > 0.02]
    return len(runs) > 0 and bool(np.median(runs) >= _PAGE_RUNS)


def _without_margins(rgb: Rgb) -> Rgb:
    """Less the plain bands at its edges, with which shops make pictures square."""
    for _ in range(2):
        spread = (rgb.max(axis=1) - rgb.min(axis=1)).max(axis=1) if rgb.size else np.zeros(0)
        lively = np.flatnonzero(spread >= _PLAIN)
        if not len(lively):
            return rgb[:0]
        rgb = rgb[lively[0] : lively[-1] + 1].transpose(1, 0, 2)
    return rgb


def _has_strokes(rgb: Rgb) -> bool:
    middle = rgb[:, _STROKE_PX:-_STROKE_PX]
    left, right = middle - rgb[:, : -2 * _STROKE_PX], middle - rgb[:, 2 * _STROKE_PX :]
    ridges = ((np.minimum(np.abs(left), np.abs(right)) > _CONTRAST) & ((left > 0) == (right > 0))).any(axis=2)
    counts = np.bincount(_codes(middle[ridges]), minlength=4096).reshape(16, 16, 16)
    # A colour lies across the borders of bins.
    for axis in range(3):
        counts = counts + np.roll(counts, -1, axis)
    return bool(counts.max() >= _STROKE_SHARE * ridges.size)


def _seam(rgb: Rgb) -> float:
    """The share of the rows in which one column is a step, less half of what the columns beside it have."""
    steps = (np.abs(rgb[:, 2:] - rgb[:, :-2]).max(axis=2) > _STEP).mean(axis=0)
    edge = max(6, rgb.shape[1] // 12)
    found = 0.0
    for x in range(edge, len(steps) - edge):
        beside = max(steps[x - 6 : x - 3].max(), steps[x + 4 : x + 7].max())
        found = max(found, float(steps[x] - beside / 2))
    return found


def _codes(rgb: NDArray[np.int16]) -> NDArray[np.int64]:
    """Colours in 16 levels of each channel, as numbers below 4096."""
    level = (rgb >> 4).astype(np.int64)
    return level[..., 0] * 256 + level[..., 1] * 16 + level[..., 2]
