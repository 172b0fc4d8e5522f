"""Follows a product from one picture to the next: normalised cross-correlation of its patch, at three sizes.

Works on the halved small copies (foreground.py), so that a step costs a few milliseconds, a fiftieth of a query.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from livecart.core.types import ShareBox
from livecart.live.gate.foreground import Planes

#: How far a product may have moved, in pixels of the halved copy: a tenth of the picture's longer side.
_REACH_PX = 8
#: It may have come nearer or gone away by so much.
_SIZES = (1.0, 0.8, 1.25)
#: A patch has at least so many pixels a side; of a larger one than so many in all every other pixel is compared.
_LEAST_PX, _DENSE_PX = 3, 300
#: Half the weight of how well it correlates is lost where its mean colour is this far off, in levels.
_FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class TemplateMatch:
    """The best fit of a patch. `score` is the correlation over luma and chroma together, -1 to 1."""

    box: ShareBox
    score: float


def track(before: Planes, after: Planes, box: ShareBox) -> TemplateMatch | None:
    """Look in `after` for what lies in `box` of `before`; None where the box is too small, or the sizes differ."""
    height, width = before.shape[1:]
    x1, y1 = max(0, round(box[0] * width)), max(0, round(box[1] * height))
    x2, y2 = min(width, round(box[2] * width)), min(height, round(box[3] * height))
    if after.shape != before.shape or x2 - x1 < _LEAST_PX or y2 - y1 < _LEAST_PX:
        return None
    patch = before[:, y1:y2, x1:x2]
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    best: tuple[float, float, float, float] | None = None
    for size in _SIZES:
        found = _best_place(_resized(patch, size), after, middle_x, middle_y)
        if found is not None and (best is None or found[0] > best[0]):
            best = (*found, size)
    if best is None:
        return None
    score, at_x, at_y, size = best
    half_x, half_y = (box[2] - box[0]) * size / 2, (box[3] - box[1]) * size / 2
    # The box's middle moves as the patch's did: the box itself is not on whole pixels.
    x = (box[0] + box[2]) / 2 + (at_x - middle_x) / width
    y = (box[1] + box[3]) / 2 + (at_y - middle_y) / height
    moved = (max(0.0, x - half_x), max(0.0, y - half_y), min(1.0, x + half_x), min(1.0, y + half_y))
    return TemplateMatch(moved, score) if moved[0] < moved[2] and moved[1] < moved[3] else None


def _best_place(patch: Planes, image: Planes, middle_x: float, middle_y: float) -> tuple[float, float, float] | None:
    """Highest correlation within reach, and the middle of the place; None where the patch does not fit in."""
    _, tall, wide = patch.shape
    height, width = image.shape[1:]
    top, left = round(middle_y - tall / 2), round(middle_x - wide / 2)
    y1, y2 = max(0, top - _REACH_PX), min(height - tall, top + _REACH_PX)
    x1, x2 = max(0, left - _REACH_PX), min(width - wide, left + _REACH_PX)
    if y2 < y1 or x2 < x1:
        return None
    stride = 2 if tall * wide > _DENSE_PX else 1
    area = image[:, y1 : y2 + tall, x1 : x2 + wide]
    windows = sliding_window_view(area, (tall, wide), axis=(1, 2))[..., ::stride, ::stride]
    places = windows.transpose(1, 2, 0, 3, 4).astype(np.float32)
    places -= places.mean(axis=(3, 4), keepdims=True)
    wanted = patch[:, ::stride, ::stride].astype(np.float32)
    wanted -= wanted.mean(axis=(1, 2), keepdims=True)
    scores = _correlations(places.reshape(*places.shape[:2], -1), wanted.ravel())
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(scores[row, column]), float(x1 + column + wide / 2), float(y1 + row + tall / 2)


def _correlations(places: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    strength = np.sqrt(np.einsum("yxp,yxp->yx", places, places) * float(wanted @ wanted))
    scores: NDArray[np.float32] = (places @ wanted) / np.maximum(strength, _FLAT)
    return scores


def _resized(patch: Planes, size: float) -> Planes:
    """Nearest pixels: what is correlated is small and smooth."""
    if size == 1.0:
        return patch
    rows, columns = (
        np.minimum((np.arange(max(_LEAST_PX, round(side * size))) + 0.5) / size, side - 1).astype(np.intp)
        for side in patch.shape[1:]
    )
    return patch[:, rows[:, None], columns]
