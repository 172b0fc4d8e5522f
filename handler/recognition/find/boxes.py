"""Refines boxes: keypoints tell where a photo lies in the frame, not what of the photo is the product.

The surroundings of a box that was found are looked at once more. The better a part of them resembles the product's
photos as a whole, the more its outline counts.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx
from recognition.errors import ConfigurationError
from recognition.find.scene import PhotoPlace, grown
from recognition.index.vectors import CROP_PX, VectorSpace, fit_square

#: The surroundings, as a multiple of the box's sides.
_SURROUNDINGS = 2.0
#: How fast an outline counts less as it resembles the photos less: by e for each 0.05 of the inner product.
_SHARPNESS = 20.0
#: What the outlines count beside the box that was found.
_SHARE = 0.5
#: The middle of many outlines lies inside of the right one.
_OUTWARDS = 1.15
_FITS = Path(__file__).parents[1] / "fitted" / "box_fits"
#: What is corrected: the middle across and down as shares of the sides, the sides as logarithms of a factor.
OUTPUTS = 4
#: Three boxes of four numbers each, shape and size, likeness, which part of the photo agrees.
FEATURES = 3 * OUTPUTS + 2 + 1 + 4
_IN_PHOTO = slice(FEATURES - 4, FEATURES)
#: All features, each of them times each side of the part of the photo that agrees, and 1.
TERMS = FEATURES * 5 + 1
#: No feature counts as further from its mean than so many standard deviations, no correction moves the middle by more
#: than this share of a side, or changes a side by more than this logarithm: what lies so far from all that was fitted
#: is not to be trusted.
_FURTHEST_FEATURE = 3.0
_FURTHEST = 0.8
_LEAST_SIDE_PX = 2.0


@dataclass(frozen=True)
class BoxEvidence:
    """Places at which a product may be, in pixels of a frame of ``frame_size``.

    ``found`` is the box so far, ``middle`` the middle of the outlines that resemble the product, of which the likest
    has an inner product of ``likeness`` with its photos; ``placed`` is what keypoints tell.
    """

    found: BoxXyxyPx
    middle: BoxXyxyPx
    likeness: float
    placed: PhotoPlace
    frame_size: tuple[int, int]


class BoxCorrection(Protocol):
    """Corrects a box by its evidence."""

    def box(self, evidence: BoxEvidence) -> BoxXyxyPx:
        """Within the frame."""
        ...


class BoxFit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one backbone; what it was fitted on is for people.

    ``means`` and ``spreads`` are of the ``FEATURES``, ``weights`` are ``TERMS`` rows of ``OUTPUTS``.
    """

    backbone: str
    fitted_on: str
    means: list[float]
    spreads: list[float]
    weights: list[list[float]]

    def __post_init__(self) -> None:
        if len(self.means) != FEATURES or len(self.spreads) != FEATURES or not all(s > 0 for s in self.spreads):
            raise ValueError(f"means and spreads must be {FEATURES} numbers each, and spreads above 0")
        if len(self.weights) != TERMS or any(len(row) != OUTPUTS for row in self.weights):
            raise ValueError(f"weights must be {TERMS} rows of {OUTPUTS}")

    def box(self, evidence: BoxEvidence) -> BoxXyxyPx:
        """The corrected box, within the frame."""
        correction = terms(features(evidence), self.means, self.spreads) @ np.array(self.weights, dtype=np.float64)
        return corrected(evidence, np.clip(correction, -_FURTHEST, _FURTHEST))


def terms(rows: NDArray[np.float64], means: Sequence[float], spreads: Sequence[float]) -> NDArray[np.float64]:
    """(…, TERMS) of features (…, FEATURES)."""
    scaled = np.clip((rows - np.array(means)) / np.array(spreads), -_FURTHEST_FEATURE, _FURTHEST_FEATURE)
    crossed = scaled[..., _IN_PHOTO, None] * scaled[..., None, :]
    ones = np.ones((*scaled.shape[:-1], 1))
    result: NDArray[np.float64] = np.concatenate([scaled, crossed.reshape(*scaled.shape[:-1], -1), ones], axis=-1)
    return result


def features(evidence: BoxEvidence) -> NDArray[np.float64]:
    """(FEATURES,) of one detection."""
    middle, sides = _base(evidence)
    outline = _inside(np.array(evidence.placed.outline), evidence.frame_size)
    parts = [_relative(box, middle, sides) for box in (outline, evidence.placed.extent, evidence.middle)]
    width, height = evidence.frame_size
    shape = np.log([sides[0] / sides[1], sides[0] * sides[1] / (width * height)])
    return np.concatenate([*parts, shape, [evidence.likeness], evidence.placed.in_photo])


def target(evidence: BoxEvidence, truth: BoxXyxyPx) -> NDArray[np.float64]:
    """(OUTPUTS,) the correction that would have been right."""
    return _relative(truth, *_base(evidence))


def corrected(evidence: BoxEvidence, correction: NDArray[np.float64]) -> BoxXyxyPx:
    """The box that a correction (OUTPUTS,) makes, within the frame."""
    middle, sides = _base(evidence)
    middle, half = middle + correction[:2] * sides, sides * np.exp(correction[2:]) / 2
    left, top, right, bottom = _inside(np.concatenate([middle - half, middle + half]), evidence.frame_size)
    return float(left), float(top), float(right), float(bottom)


def _base(evidence: BoxEvidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle and sides of what is corrected: halfway between the two boxes."""
    left, top, right, bottom = (np.array(evidence.found) + np.array(evidence.middle)) / 2
    middle = np.array([left + right, top + bottom]) / 2
    return middle, np.maximum([right - left, bottom - top], _LEAST_SIDE_PX)


def _relative(
    box: BoxXyxyPx | NDArray[np.float64], middle: NDArray[np.float64], sides: NDArray[np.float64]
) -> NDArray[np.float64]:
    left, top, right, bottom = box
    offset = (np.array([left + right, top + bottom]) / 2 - middle) / sides
    result: NDArray[np.float64] = np.concatenate(
        [offset, np.log(np.maximum([right - left, bottom - top], _LEAST_SIDE_PX) / sides)]
    )
    return result


def _inside(box: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.clip(box, 0.0, [*size, *size])
    return result


def load_box_fit(backbone: str) -> BoxFit | None:
    """The fit of ``backbone``; None where it has none of its own.

    Raises:
        ConfigurationError: the file is not of its form.
    """
    path = path_of(backbone)
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=BoxFit)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_boxes.py") from error


def path_of(backbone: str) -> Path:
    return _FITS / f"{backbone}.json"


@dataclass(frozen=True)
class Surroundings:
    """``pixels`` (side, side, 3) for the network, and the ``part`` of the frame that they show."""

    pixels: NDArray[np.uint8]
    part: BoxXyxyPx


def surroundings_of(frame: Image.Image, box: BoxXyxyPx) -> Surroundings:
    """Cuts out ``box`` with what is around it."""
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
    """The better box: as fitted where keypoints show how a photo lies in the frame, halfway to the middle elsewhere."""
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
