"""Local features: the print on a package, point by point, and whether two views of it show the same print.

SIFT (D. Lowe, IJCV 2004) finds points that survive scale and rotation; RootSIFT (Arandjelović and Zisserman, CVPR 2012)
compares them. A network trained on classes sees "a bottle of tea"; these see the very letters and leaves on it. A
catalog keeps two bits of each of the 128 dimensions: on 523 photos of drinks that lost nothing (0.784 against 0.785).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Bytes of a packed descriptor: 128 dimensions of 2 bits.
PACKED_BYTES = 32
_DIMENSIONS = 128
#: Below OpenCV's 0.04: a phone's photo of a glossy bottle has little contrast.
_CONTRAST = 0.02
#: Thresholds of the two bits, and the value that stands for each of the four levels in between. RootSIFT of 128
#: dimensions with norm 1 has a mean near 0.07 and seldom more than 0.3.
_LEVELS_FROM = np.array([0.03, 0.08, 0.15], dtype=np.float32)
_LEVELS = np.array([0.008, 0.055, 0.11, 0.2], dtype=np.float32)
#: Lowe's ratio between the nearest and the second nearest distance. He took 0.8; the fit of a plane below sorts out
#: what a looser bound lets in.
_RATIO = 0.85
_FEWEST_FOR_FIT = 5
#: How far a point may land from its partner, as a share of the longer side of the area that the crop's points cover.
_TOLERANCE = 0.02
_FIT_ROUNDS = 300
#: Bounds of what a photo's two sides may be mapped to, as shares of that same side: a package that would reach far
#: out of the crop, or be a speck in it, is chance. So is one whose sides, at right angles in the photo, are not nearly
#: so in the crop (as the cosine between them).
_SIDE_BOUNDS = (0.15, 6.0)
_MOST_SHEAR = 0.6


@dataclass(frozen=True)
class LocalFeatures:
    """``xy`` (n, 2) float32 points, in the units of whoever made it; ``descriptors`` (n, 128) float32 with norm 1."""

    xy: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True)
class LocalMatch:
    """``inliers`` pairs of points agree on ``matrix`` (2, 3) from shares of the photo's sides to crop pixels.

    ``extent`` (4,) is the box x1, y1, x2, y2 around those points in the crop, ``in_photo`` (4,) around their partners
    in shares of the photo's sides.
    """

    inliers: int
    matrix: NDArray[np.float64] | None
    extent: NDArray[np.float64] | None
    in_photo: NDArray[np.float64] | None


NO_MATCH = LocalMatch(0, None, None, None)


def extract(rgb: NDArray[np.uint8], *, count: int) -> LocalFeatures:
    """The ``count`` strongest features of uint8 (H, W, 3) RGB, points in its pixels."""
    # OpenCV's own thread pool would fight the workers for the cores.
    cv2.setNumThreads(1)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    found, descriptors = cv2.SIFT.create(count, contrastThreshold=_CONTRAST).detectAndCompute(grey, None)
    if descriptors is None or len(found) == 0:
        return LocalFeatures(np.zeros((0, 2), np.float32), np.zeros((0, _DIMENSIONS), np.float32))
    strongest = np.argsort([-point.response for point in found], kind="stable")[:count]
    xy = np.array([found[index].pt for index in strongest], dtype=np.float32)
    chosen = np.asarray(descriptors, dtype=np.float32)[strongest]
    return LocalFeatures(xy, np.sqrt(chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1e-6)))


def pack(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Two bits of each dimension: (n, 128) to uint8 (n, ``PACKED_BYTES``)."""
    level = np.digitize(descriptors, _LEVELS_FROM).astype(np.uint8).reshape(-1, PACKED_BYTES, 4)
    packed = level[..., 0] | level[..., 1] << 2 | level[..., 2] << 4 | level[..., 3] << 6
    return packed.astype(np.uint8)


#: Each byte's four levels as values, so that unpacking is one look-up.
_UNPACKED = _LEVELS[(np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3]


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What ``pack`` kept of the descriptors, (n, 128) with norm 1."""
    values: NDArray[np.float32] = _UNPACKED[packed].reshape(-1, _DIMENSIONS)
    normalised: NDArray[np.float32] = values / np.linalg.norm(values, axis=1, keepdims=True)
    return normalised


def match(
    crop: LocalFeatures,
    photos_xy: NDArray[np.float32],
    photos_packed: NDArray[np.uint8],
    photo_starts: NDArray[np.int64],
) -> list[LocalMatch]:
    """Hold a crop against several photos, whose features lie one after the other.

    ``crop`` has its points in pixels, the photos theirs in shares of the photo's width and height. ``photo_starts``
    (K + 1,) says where each of the K photos' features begin, and where the last one's end.
    """
    results = [NO_MATCH] * (len(photo_starts) - 1)
    if len(crop) < _FEWEST_FOR_FIT or len(photos_xy) == 0:
        return results
    # One product of matrices for all photos; what follows looks at its columns photo by photo.
    similarity = crop.descriptors @ unpack(photos_packed).T
    extent = float(np.ptp(crop.xy, axis=0).max())
    for index, (start, end) in enumerate(itertools.pairwise(photo_starts)):
        if end - start >= _FEWEST_FOR_FIT:
            pairs = _pairs(similarity[:, start:end])
            results[index] = _fit(photos_xy[start:end][pairs[1]], crop.xy[pairs[0]], extent)
    return results


def _pairs(similarity: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of points that are each other's nearest, and clearly nearer than the second."""
    nearest = similarity.argmax(axis=1)
    best = similarity.max(axis=1)
    mutual = np.flatnonzero(best >= similarity.max(axis=0)[nearest])
    others = similarity[mutual]
    others[np.arange(len(mutual)), nearest[mutual]] = -1.0
    # For unit vectors the squared distance is 2 - 2 * similarity.
    kept = mutual[1 - best[mutual] < _RATIO**2 * (1 - others.max(axis=1))]
    return kept, nearest[kept]


def _fit(source: NDArray[np.float32], target: NDArray[np.float32], extent_px: float) -> LocalMatch:
    if len(source) < _FEWEST_FOR_FIT:
        return NO_MATCH
    tolerance = max(_TOLERANCE * extent_px, 1.0)
    matrix, inliers = cv2.estimateAffine2D(source, target, ransacReprojThreshold=tolerance, maxIters=_FIT_ROUNDS)
    # With too few points in agreement OpenCV gives no matrix, whatever its annotations say.
    if matrix is None or not _plausible(np.asarray(matrix, dtype=np.float64), extent_px):
        return NO_MATCH
    agrees = inliers.ravel().astype(bool)
    extent, in_photo = (
        np.concatenate([side[agrees].min(axis=0), side[agrees].max(axis=0)]).astype(np.float64)
        for side in (target, source)
    )
    # A corner has two orientations, and is then two features in one place: it is still one point.
    points = min(len(np.unique(side[agrees], axis=0)) for side in (source, target))
    return LocalMatch(points, np.asarray(matrix, dtype=np.float64), extent, in_photo)


def _plausible(matrix: NDArray[np.float64], extent_px: float) -> bool:
    sides = np.linalg.norm(matrix[:, :2], axis=0)
    if not (sides > _SIDE_BOUNDS[0] * extent_px).all() or not (sides < _SIDE_BOUNDS[1] * extent_px).all():
        return False
    shear = abs(float(matrix[:, 0] @ matrix[:, 1])) / float(sides.prod())
    # A mirrored package does not exist; in a mirrored video letters are mirrored too, and no descriptor matches them.
    return shear < _MOST_SHEAR and float(np.linalg.det(matrix[:, :2])) > 0
