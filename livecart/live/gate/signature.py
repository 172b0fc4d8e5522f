"""The gate's record of a picture: a small copy in luma and chroma, a perceptual hash, and how sharp it is.

The small copy is made by the picture itself (swscale), so that the full-size RGB picture never exists.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecart.core.types import Picture

#: Longest side of the small copy. A product of 8 % of the frame's height is still 7 pixels high in landscape.
THUMBNAIL_SIDE_PX = 160
#: Its sides are multiples of this.
_STEP_PX = 4
_LEAST_SIDE_PX = 32

#: The hash keeps the sign of 8 x 8 coefficients.
_HASH_SIDE = 8
#: Amplitude in luma levels, above the median coefficient or below it, from which a bit of the hash counts: what is
#: nearer flips with the encoder's noise.
_FIRM_LEVELS = 0.5

#: Mean squared luma step over `_COARSE_PX` pixels, in levels squared, below which nothing in the picture can be
#: called sharp or blurred.
_LEAST_CONTRAST = 12.0
_COARSE_PX = 4


@dataclass(frozen=True, slots=True)
class Signature:
    """A picture as the gate compares it.

    Attributes:
        planes: (3, height, width) in levels, 0 to 255: luma (R + 2G + B) / 4, and around 128 half the difference of
            blue and green, and of red and green.
        hash_bits: DCT perceptual hash of the luma, 64 bits.
        hash_firm: Which of its bits noise does not flip.
        sharpness: Across and down, about 0 to 1; None where the picture is too flat to tell.
    """

    planes: NDArray[np.uint8]
    hash_bits: int
    hash_firm: int
    sharpness: tuple[float, float] | None


def signature(picture: Picture) -> Signature:
    rgb = picture.thumbnail(*thumbnail_size(picture.width_px, picture.height_px))
    planes = _planes(rgb)
    luma = planes[0].astype(np.float32)
    bits, firm = _hash(luma)
    return Signature(planes, bits, firm, _sharpness(luma))


def thumbnail_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the small copy: the picture's aspect, but for rounding and very long pictures."""
    longest = max(width_px, height_px, 1)
    width, height = (
        max(_LEAST_SIDE_PX, _STEP_PX * round(THUMBNAIL_SIDE_PX * side / longest / _STEP_PX))
        for side in (width_px, height_px)
    )
    return width, height


def hash_distance(one: Signature, other: Signature) -> int:
    """In how many firm bits the hashes differ, 0 to 64."""
    return ((one.hash_bits ^ other.hash_bits) & one.hash_firm & other.hash_firm).bit_count()


def neighbour_range(planes: NDArray[np.uint8], *, pad_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Lowest and highest of each pixel's 3 x 3 neighbours, of planes padded at their edges by `pad_px`, 1 or more."""
    padded = np.pad(planes, ((0, 0), (pad_px, pad_px), (pad_px, pad_px)), mode="edge")
    lowest = highest = padded
    for axis in (1, 2):
        size = padded.shape[axis] - 2
        parts: list[tuple[slice, ...]] = []
        for shift in range(3):
            part = [slice(None)] * 3
            part[axis] = slice(shift, shift + size)
            parts.append(tuple(part))
        lowest = np.minimum(np.minimum(lowest[parts[0]], lowest[parts[1]]), lowest[parts[2]])
        highest = np.maximum(np.maximum(highest[parts[0]], highest[parts[1]]), highest[parts[2]])
    return lowest, highest


def _planes(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    red, green, blue = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.int16)
    planes = np.empty((3, *rgb.shape[:2]), np.uint8)
    planes[0] = (red + 2 * green + blue) >> 2
    planes[1] = ((blue - green) >> 1) + 128
    planes[2] = ((red - green) >> 1) + 128
    return planes


def _dct_rows(size: int) -> NDArray[np.float32]:
    """The lowest `_HASH_SIDE` rows of the DCT-II, scaled so that the coefficient of a wave is its amplitude."""
    frequency, position = np.arange(_HASH_SIDE)[:, None], np.arange(size)[None, :]
    waves = np.cos(np.pi * frequency * (2 * position + 1) / (2 * size))
    return np.asarray(waves * 2.0 / size, dtype=np.float32)


_DCT = {size: _dct_rows(size) for size in range(_LEAST_SIDE_PX, THUMBNAIL_SIDE_PX + 1, _STEP_PX)}
_BIT_WEIGHTS = 1 << np.arange(_HASH_SIDE * _HASH_SIDE, dtype=np.uint64)


def _hash(luma: NDArray[np.float32]) -> tuple[int, int]:
    """Sign of the lowest 8 x 8 DCT coefficients against their median (C. Zauner, 2010), and which signs are firm."""
    height, width = luma.shape
    coefficients = (_DCT[height] @ luma @ _DCT[width].T).ravel()
    coefficients[0] = 0.0  # the mean: exposure
    above = coefficients - np.median(coefficients)
    bits = _BIT_WEIGHTS[above > 0].sum(dtype=np.uint64)
    firm = _BIT_WEIGHTS[np.abs(above) > _FIRM_LEVELS].sum(dtype=np.uint64)
    return int(bits), int(firm)


def _sharpness(luma: NDArray[np.float32]) -> tuple[float, float] | None:
    """Mean squared step over one pixel as a share of that over four, across and down.

    An edge of one pixel's width gives a quarter whatever its contrast, and fewer edges give the same: unlike the
    energy of a Laplacian this compares a blank slide with a full one. Blur makes the short steps small first.
    """
    shares = []
    for values in (luma, luma.T):
        fine = _mean_square(values[:, 1:] - values[:, :-1])
        coarse = _mean_square(values[:, _COARSE_PX:] - values[:, :-_COARSE_PX])
        if coarse < _LEAST_CONTRAST:
            return None
        shares.append(fine / coarse)
    return shares[0], shares[1]


def _mean_square(values: NDArray[np.float32]) -> float:
    return float(np.einsum("ij,ij->", values, values)) / values.size
