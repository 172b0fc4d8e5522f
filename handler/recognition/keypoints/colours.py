"""Compares a photo's colours with a frame's where keypoints match.

Keypoints are grey, and two flavours of one brand share the very logo. Their bottles differ in colour, place by place:
once keypoints tell how the photo lies in the frame, the two are compared cell by cell.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.snapshot.format import CELLS

#: Pixels that the frame is sampled with for each cell.
_SAMPLES = 4
#: Difference in colour (CIE 1976 ΔE with lightness counting half) at which two cells are alike by 1 / e: lamps, white
#: balance and compression alone reach about 10 on a phone.
_TOLERANCE = 15.0
_LIGHTNESS_COUNTS = 0.5
#: Compared is the part of the photo around the points that agree, so many times as large as they reach: farther out the
#: photo shows its own background.
_AROUND = 1.6
_FEWEST_CELLS = 6


@dataclass(frozen=True)
class ColourMatch:
    """``likeness`` 0..1 over the ``cells`` that lie in the frame; 0 cells: nothing could be compared.

    ``pattern`` -1..1 is the correlation of their colours' differences from each side's own mean: lamps and white
    balance leave it alone, and a package in one colour has none.
    """

    likeness: float
    pattern: float
    cells: int


NOT_COMPARED = ColourMatch(0.0, 0.0, 0)


def cells_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean colours of a photo (H, W, 3), RGB, as uint8 (``CELLS``, ``CELLS``, 3)."""
    return np.asarray(cv2.resize(rgb, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.uint8)


def compare(
    cells: NDArray[np.uint8],
    frame: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    agreeing: NDArray[np.float64],
) -> ColourMatch:
    """Hold a photo's ``cells`` against ``frame``, uint8 (H, W, 3) RGB.

    ``matrix`` (2, 3) leads from shares of the photo's sides to pixels of the frame; ``agreeing`` (4,) is the box
    x1, y1, x2, y2 around the points that agree, in shares of the photo's sides.
    """
    side = CELLS * _SAMPLES
    to_frame = matrix @ np.diag([1.0 / side, 1.0 / side, 1.0])
    height, width = frame.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(frame, to_frame, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = cells_of(np.asarray(warped, np.uint8))
    counted = _inside(to_frame, (width, height)) & _around(agreeing)
    if counted.sum() < _FEWEST_CELLS:
        return NOT_COMPARED
    wanted, found = (side[counted].astype(np.float32) / 255.0 for side in (cells, seen))
    # A brighter lamp is no other product.
    gain = np.clip(np.median(wanted.sum(axis=1)) / max(float(np.median(found.sum(axis=1))), 0.01), 0.5, 2.0)
    photo, here = _lab(wanted), _lab(np.minimum(found * gain, 1.0).astype(np.float32))
    difference = photo - here
    difference[:, 0] *= _LIGHTNESS_COUNTS
    alike = np.exp(-(difference**2).sum(axis=1) / _TOLERANCE**2)
    return ColourMatch(float(alike.mean()), _correlation(photo[:, 1:], here[:, 1:]), int(counted.sum()))


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two sets of chromaticities (n, 2), place by place."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / max(lengths, 1e-3)


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIE Lab (n, 3) of RGB 0..1."""
    return np.asarray(cv2.cvtColor(rgb[None], cv2.COLOR_RGB2LAB)[0], np.float32)


def _centres() -> NDArray[np.float64]:
    """Middles (CELLS, CELLS, 2) of the cells as x, y in shares of the photo."""
    middle = (np.arange(CELLS) + 0.5) / CELLS
    return np.stack(np.meshgrid(middle, middle), axis=-1)


_CENTRES = _centres()


def _inside(to_frame: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    xy = _CENTRES * (CELLS * _SAMPLES) @ to_frame[:, :2].T + to_frame[:, 2]
    return np.asarray(((xy >= 0) & (xy < np.array(size))).all(axis=-1))


def _around(agreeing: NDArray[np.float64]) -> NDArray[np.bool_]:
    middle = (agreeing[:2] + agreeing[2:]) / 2
    reach = (agreeing[2:] - agreeing[:2]) / 2 * _AROUND
    return np.asarray((np.abs(_CENTRES - middle) <= np.maximum(reach, 0.5 / CELLS)).all(axis=-1))
