"""How a product's box follows from where print and the network see it: fitted by ``scripts/fit_boxes.py``.

A photo's outline, the points that agree and the middle of what resembles the product each miss its box in a way of
their own: a photo has a margin, points reach only so far, an outline drawn around the likest cells is too small. A
correction in units of the box itself takes that into account; it is linear, but for how much each part counts, which
depends on what of the photo agrees. On composed frames of products that it was not fitted on, the share of boxes that
overlap the product by half (IoU 0.5) went from 0.68 to 0.77 for drinks with three photos, and from 0.28 to 0.68 for
groceries with one studio photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from recognition.errors import ConfigurationError
from recognition.reply import BoxXyxyPx
from recognition.scene import PhotoPlace

_FOLDER = Path(__file__).with_name("box_fits")
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
    """Where a product may be, in pixels of a frame of ``frame_size``.

    ``found`` is the box so far, ``middle`` the middle of the outlines that resemble the product, of which the likest
    has an inner product of ``likeness`` with its photos; ``placed`` is what print tells.
    """

    found: BoxXyxyPx
    middle: BoxXyxyPx
    likeness: float
    placed: PhotoPlace
    frame_size: tuple[int, int]


class BoxCorrection(Protocol):
    """Makes a box of what is known."""

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
    """(FEATURES,) of one sighting."""
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
    """Where the fit of ``backbone`` is stored."""
    return _FOLDER / f"{backbone}.json"
