"""Where exactly a product lies: print tells where a photo lies in the frame, not what of the photo is the product.

The surroundings of a box that was found are looked at once more. The better a part of them resembles the product's
photos as a whole, the more its outline counts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.box_fit import BoxCorrection, BoxEvidence
from recognition.embedding import CROP_PX, fit_square
from recognition.reply import BoxXyxyPx
from recognition.scene import PhotoPlace, grown
from recognition.vectors import VectorSpace

#: The surroundings, as a multiple of the box's sides.
_SURROUNDINGS = 2.0
#: How fast an outline counts less as it resembles the photos less: by e for each 0.05 of the inner product.
_SHARPNESS = 20.0
#: What the outlines count beside the box that was found.
_SHARE = 0.5
#: The middle of many outlines lies inside of the right one.
_OUTWARDS = 1.15


@dataclass(frozen=True)
class Surroundings:
    """``pixels`` (side, side, 3) for the network, and the ``part`` of the frame that they show."""

    pixels: NDArray[np.uint8]
    part: BoxXyxyPx


def surroundings_of(frame: Image.Image, box: BoxXyxyPx) -> Surroundings:
    """What is around ``box`` in the frame."""
    wide = grown(box, _SURROUNDINGS, frame.size)
    left, top = int(wide[0]), int(wide[1])
    right, bottom = max(left + 1, int(np.ceil(wide[2]))), max(top + 1, int(np.ceil(wide[3])))
    part = (float(left), float(top), float(min(right, frame.width)), float(min(bottom, frame.height)))
    return Surroundings(fit_square(frame.crop((left, top, int(part[2]), int(part[3])))), part)


@dataclass(frozen=True)
class Middle:
    """The middle of all outlines, each counted by how much what is in it resembles the product's photos.

    ``likeness`` is the inner product of the likest with a photo.
    """

    box: BoxXyxyPx
    likeness: float


def middle_of(
    around: Surroundings, feature_map: NDArray[np.float32], *, views: NDArray[np.floating], space: VectorSpace
) -> Middle | None:
    """``feature_map`` (C, rows, columns) is of the surroundings, ``views`` (V, D) of the product; None for a speck."""
    cells = feature_map.shape[1]
    left, top, right, bottom = around.part
    scale = CROP_PX / max(right - left, bottom - top)
    # fit_square puts the part into the middle of a square.
    size = np.array([right - left, bottom - top]) * scale * cells / CROP_PX
    corner = (cells - size) / 2
    outlines = _outlines(cells, *(int(c) for c in np.floor(corner)), *(int(e) for e in np.ceil(corner + size)))
    if len(outlines) == 0:
        return None
    alike = (space.vectors(_averages(feature_map, outlines)) @ views.astype(np.float32).T).max(axis=1)
    weight = np.exp((alike - alike.max()) * _SHARPNESS)
    in_part = np.clip((outlines.reshape(-1, 2, 2) - corner) / size, 0.0, 1.0)
    in_frame = (in_part * (right - left, bottom - top) + (left, top)).reshape(-1, 4)
    left, top, right, bottom = (float(side) for side in (in_frame * weight[:, None]).sum(axis=0) / weight.sum())
    return Middle((left, top, right, bottom), float(alike.max()))


def refined(
    box: BoxXyxyPx, middle: Middle, placed: PhotoPlace | None, *, frame_size: tuple[int, int], fit: BoxCorrection | None
) -> BoxXyxyPx:
    """The better box: as fitted where print told how a photo lies in the frame, halfway to the middle elsewhere."""
    if placed is not None and fit is not None:
        return fit.box(BoxEvidence(box, middle.box, middle.likeness, placed, frame_size))
    both = _SHARE * np.array(middle.box) + (1 - _SHARE) * np.array(box)
    return grown((float(both[0]), float(both[1]), float(both[2]), float(both[3])), _OUTWARDS, frame_size)


@functools.lru_cache(maxsize=64)
def _outlines(cells: int, left: int, top: int, right: int, bottom: int) -> NDArray[np.int64]:
    """Boxes (M, 4) of cells around the middle, 2 to all of them wide and high, within the given ones."""
    middle = cells / 2
    starts = [[first for first in range(low, cells) if first < middle - 0.4] for low in (left, top)]
    ends = [[last for last in range(1, high + 1) if last > middle + 0.4 and last <= cells] for high in (right, bottom)]
    return np.array(
        [(x1, y1, x2, y2) for x1 in starts[0] for x2 in ends[0] for y1 in starts[1] for y2 in ends[1]], dtype=np.int64
    ).reshape(-1, 4)


def _averages(feature_map: NDArray[np.float32], outlines: NDArray[np.int64]) -> NDArray[np.float32]:
    """(M, C) by sums over all cells up to each corner."""
    sums = np.zeros((feature_map.shape[0], feature_map.shape[1] + 1, feature_map.shape[2] + 1), np.float32)
    sums[:, 1:, 1:] = feature_map.cumsum(axis=1).cumsum(axis=2)
    x1, y1, x2, y2 = outlines.T
    inside = sums[:, y2, x2] - sums[:, y1, x2] - sums[:, y2, x1] + sums[:, y1, x1]
    averages: NDArray[np.float32] = (inside / ((x2 - x1) * (y2 - y1))).T.astype(np.float32)
    return averages
