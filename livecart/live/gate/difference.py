"""Differences of a picture from the one last looked at: what a small product changes, and what noise does not.

Four things are taken out before anything counts as a difference:

- exposure: a gain and an offset of the luma and an offset of each chroma, fitted over most of the picture, bounded;
- the camera's tremble, breathing, blinking: a pixel is compared with the range of its 3 x 3 neighbours in the other
  picture, so that what moves by less than a pixel of the small copy (8 of 1280) is no difference;
- the encoder's and the sensor's noise: the threshold rises with the median difference of the two pictures, bounded;
- single pixels: differences are averaged over windows of 4 x 4 pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecart.live.gate.signature import Signature, hash_distance, neighbour_range

#: Exposure that is taken out. More than this is a change worth looking at.
_GAIN_BOUNDS = (0.8, 1.25)
_LUMA_OFFSET_LEVELS = 16.0
_CHROMA_OFFSET_LEVELS = 4.0
_NO_CHROMA = 128.0
#: Every so many pixels each way the exposure is fitted on.
_FIT_STRIDE_PX = 3
#: Variance of the luma, in levels squared, below which a gain cannot be told from an offset.
_LEAST_VARIANCE = 25.0
#: A normal distribution's standard deviation as a multiple of its median absolute deviation.
_SIGMA_PER_MAD = 1.4826
_MOST_NOISE_LEVELS = 5.0

#: Cells a dissolve is looked for in, across and down.
_CELLS = 4
#: Mean squared gradient, in levels squared, that a cell needs to have a structure that could shine through.
_LEAST_STRUCTURE = 6.0
#: How strongly the old picture's structure shines through a mixture: less is another picture, more the same one.
_MIXTURE = (0.2, 0.8)
#: Share of the structured cells that must be mixtures, and how many cells must have structure at all.
_MIXED_SHARE = 0.7
_LEAST_CELLS = 6


@dataclass(frozen=True, slots=True)
class PictureDifference:
    """The difference of one picture from the reference.

    Attributes:
        hash_distance: Firm bits of the perceptual hash that differ, 0 to 64.
        strongest_levels: Difference of the window that differs most, luma and chroma added, in levels.
        noise_levels: Standard deviation of the noise between the two, in levels of luma, 0 to 5.
    """

    hash_distance: int
    strongest_levels: float
    noise_levels: float


class Reference:
    """The picture last looked at, prepared for comparing."""

    def __init__(self, looked_at: Signature) -> None:
        self.signature = looked_at
        self._lowest, self._highest = neighbour_range(looked_at.planes, pad_px=1)
        self._structure = _gradients(looked_at.planes[0])
        self._cell_energy = _cell_sums(*(part * part for part in self._structure))
        self._structured = self._cell_energy > _LEAST_STRUCTURE * looked_at.planes[0].size / _CELLS**2

    def difference(self, other: Signature) -> PictureDifference:
        planes, noise_levels = _without_exposure(self.signature.planes, other.planes)
        above = np.maximum(planes, self._highest) - self._highest
        below = self._lowest - np.minimum(planes, self._lowest)
        strongest = _strongest_window(above + below)
        return PictureDifference(hash_distance(self.signature, other), strongest, noise_levels)

    def shines_through(self, other: Signature) -> bool:
        """True where `other` looks like this picture and another one at once: a dissolve, or a fade from or to black.

        In a dissolve every part of the old picture is still there, at the same reduced contrast. What a moved or new
        object leaves is either there in full or gone.
        """
        if np.count_nonzero(self._structured) < _LEAST_CELLS:
            return False
        across, down = _gradients(other.planes[0])
        shared = _cell_sums(across * self._structure[0], down * self._structure[1])
        strength = shared[self._structured] / self._cell_energy[self._structured]
        mixed = (strength > _MIXTURE[0]) & (strength < _MIXTURE[1])
        return bool(np.mean(mixed) >= _MIXED_SHARE)


def _without_exposure(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """`other` as if taken with the reference's exposure, and the noise left between the two in levels of luma."""
    sample = (slice(None), slice(None, None, _FIT_STRIDE_PX), slice(None, None, _FIT_STRIDE_PX))
    before = reference[sample].reshape(3, -1).astype(np.float32)
    after = other[sample].reshape(3, -1).astype(np.float32)
    gain, offset, noise_levels = _fit_luma(before[0], after[0])
    levels = np.arange(256, dtype=np.float32)
    tables = [(levels - offset) / gain]
    for plane in (1, 2):
        # More light makes colours stronger in the same measure.
        shift = float(np.median(after[plane] - _NO_CHROMA - gain * (before[plane] - _NO_CHROMA)))
        shift = min(max(shift, -_CHROMA_OFFSET_LEVELS), _CHROMA_OFFSET_LEVELS)
        tables.append((levels - _NO_CHROMA - shift) / gain + _NO_CHROMA)
    corrected = np.empty_like(other)
    for plane, table in enumerate(tables):
        np.take(np.clip(np.rint(table), 0, 255).astype(np.uint8), other[plane], out=corrected[plane])
    return corrected, noise_levels


def _fit_luma(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[float, float, float]:
    """Gain, offset and remaining noise of `after` as a line over `before`: least squares on what fits best."""
    gain, offset = 1.0, float(np.median(after - before))
    for _ in range(2):
        rest = np.abs(after - gain * before - offset)
        fits = rest <= 2.5 * np.median(rest) + 1.0
        x, y = before[fits], after[fits]
        x_mean, y_mean = float(x.mean()), float(y.mean())
        centred = x - x_mean
        variance = float(centred @ centred) / x.size
        if variance < _LEAST_VARIANCE:
            gain, offset = 1.0, y_mean - x_mean
            break
        gain = float(centred @ y) / x.size / variance
        gain = min(max(gain, _GAIN_BOUNDS[0]), _GAIN_BOUNDS[1])
        offset = y_mean - gain * x_mean
    offset = min(max(offset, -_LUMA_OFFSET_LEVELS), _LUMA_OFFSET_LEVELS)
    noise = _SIGMA_PER_MAD * float(np.median(np.abs(after - gain * before - offset)))
    return gain, offset, min(noise, _MOST_NOISE_LEVELS)


def _strongest_window(excess: NDArray[np.uint8]) -> float:
    """The largest mean over windows of 4 x 4 pixels, every 2 pixels, of the planes' sum."""
    total = excess[0].astype(np.uint16) + excess[1] + excess[2]
    pairs = total[:, 0::2] + total[:, 1::2]
    cells = pairs[0::2] + pairs[1::2]
    windows = cells[:-1, :-1] + cells[1:, :-1] + cells[:-1, 1:] + cells[1:, 1:]
    return float(windows.max()) / 16


def _gradients(luma: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Central differences over two pixels of a luma smoothed 2 x 2, across and down, of one shape."""
    levels = luma.astype(np.float32)
    smooth = (levels[:-1, :-1] + levels[1:, :-1] + levels[:-1, 1:] + levels[1:, 1:]) * np.float32(0.25)
    return smooth[:-2, 2:] - smooth[:-2, :-2], smooth[2:, :-2] - smooth[:-2, :-2]


def _cell_sums(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of all `parts` over `_CELLS` x `_CELLS` cells, flat."""
    total = sum(parts[1:], parts[0])
    height, width = total.shape[0] // _CELLS, total.shape[1] // _CELLS
    cells = total[: height * _CELLS, : width * _CELLS].reshape(_CELLS, height, _CELLS, width)
    sums: NDArray[np.float32] = np.einsum("ahbw->ab", cells).ravel()
    return sums
