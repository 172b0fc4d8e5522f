"""Keypoints of a package's print, and the plane that maps those of a photo to a crop.

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
#: A descriptor is a grid of 4 rows and 4 columns, turned to the keypoint's direction, with 8 gradient directions each.
#: In a mirrored picture the same patch has the same values in this order.
_MIRRORED = np.arange(_DIMENSIONS).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()
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
#: With fewer points in agreement the photo's product may be in the crop several times, each with a share of the pairs.
#: Then a photo's point is paired with one of each, so far apart (as a share as above), which makes so many times as
#: many pairs (fewer times where they are more than chance makes); planes are tried by pairs near each other, and each
#: side is shorter. Of crops of 24 drinks, four of the same side by side, 10 then had 15 points and up, 5 before.
_ONE_FROM = 12
_SEVERAL, _SEVERAL_OF_MANY = 2.0, 1.4
_MOST_BY_CHANCE = 40
_APART = 0.15
_NEAREST = 12
_SEVERAL_ROUNDS = 400
_LEAST_SIDE_OF_SEVERAL = 0.06
_FEWEST_OF_SEVERAL = 7


@dataclass(frozen=True)
class LocalFeatures:
    """``xy`` (n, 2) float32 points, in the maker's units; ``descriptors`` (n, 128) float32 with norm 1."""

    xy: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)

    def mirrored(self, width: float) -> LocalFeatures:
        """Those of the picture, ``width`` wide, turned left for right."""
        # The middle of the first pixel is at 0.
        xy = np.stack([width - 1 - self.xy[:, 0], self.xy[:, 1]], axis=1)
        return LocalFeatures(xy, self.descriptors[:, _MIRRORED])


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
    """Descriptors (n, 128) with norm 1, as far as ``pack`` kept them."""
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
            rows, columns = _pairs(similarity[:, start:end])
            best = similarity[rows, start + columns]
            xy, seen = photos_xy[start:end][columns], crop.xy[rows]
            is_best = best >= similarity[:, start:end].max(axis=0)[columns]
            results[index] = _fit(xy[is_best], seen[is_best], extent)
            if results[index].inliers < _ONE_FROM:
                kept = _best_around(columns, seen, best, _APART * extent)
                one = int(is_best.sum())
                if kept.sum() >= min(_SEVERAL * one, max(_SEVERAL_OF_MANY * one, _MOST_BY_CHANCE)):
                    several = _fit_one_of_several(xy[kept], seen[kept], extent)
                    results[index] = max(results[index], several, key=lambda found: found.inliers)
    return results


def _pairs(similarity: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows, each with its nearest column where that is clearly nearer than the second."""
    nearest = similarity.argmax(axis=1)
    rows = np.arange(len(similarity))
    best = similarity[rows, nearest]
    others = similarity.copy()
    others[rows, nearest] = -1.0
    # For unit vectors the squared distance is 2 - 2 * similarity.
    kept = np.flatnonzero(1 - best < _RATIO**2 * (1 - others.max(axis=1)))
    return kept, nearest[kept]


def _best_around(
    columns: NDArray[np.intp], seen: NDArray[np.float32], similarity: NDArray[np.float32], radius_px: float
) -> NDArray[np.bool_]:
    """Pairs without a better one of the same photo's point (``columns``) near them in the crop."""
    rivals = (columns[:, None] == columns) & (similarity > similarity[:, None])
    near = (np.abs(seen[:, None] - seen) < radius_px).all(axis=2)
    alone: NDArray[np.bool_] = ~(rivals & near).any(axis=1)
    return alone


def _fit(source: NDArray[np.float32], target: NDArray[np.float32], extent_px: float) -> LocalMatch:
    if len(source) < _FEWEST_FOR_FIT:
        return NO_MATCH
    tolerance = max(_TOLERANCE * extent_px, 1.0)
    matrix, inliers = cv2.estimateAffine2D(source, target, ransacReprojThreshold=tolerance, maxIters=_FIT_ROUNDS)
    # With too few points in agreement OpenCV gives no matrix, whatever its annotations say.
    if matrix is None or not _plausible(np.asarray(matrix, dtype=np.float64), extent_px):
        return NO_MATCH
    agrees = inliers.ravel().astype(bool)
    return _match_of(np.asarray(matrix, dtype=np.float64), source[agrees], target[agrees])


def _match_of(matrix: NDArray[np.float64], source: NDArray[np.float32], target: NDArray[np.float32]) -> LocalMatch:
    """Of pairs that agree on ``matrix``."""
    extent, in_photo = (
        np.concatenate([side.min(axis=0), side.max(axis=0)]).astype(np.float64) for side in (target, source)
    )
    # A corner has two orientations, and is then two features in one place: it is still one point.
    points = min(len(np.unique(side, axis=0)) for side in (source, target))
    return LocalMatch(points, matrix, extent, in_photo)


def _fit_one_of_several(source: NDArray[np.float32], target: NDArray[np.float32], extent_px: float) -> LocalMatch:
    """As ``_fit``, of pairs that belong to several planes: the one that most of them agree on."""
    count = len(source)
    if count <= _NEAREST:
        return NO_MATCH
    random = np.random.default_rng(0)
    nearest = np.argsort(((target[:, None] - target) ** 2).sum(axis=2), axis=1)[:, 1 : _NEAREST + 1]
    first = np.resize(np.arange(count), _SEVERAL_ROUNDS)
    others = random.integers(0, nearest.shape[1], (2, _SEVERAL_ROUNDS))
    drawn = np.stack([first, nearest[first, others[0]], nearest[first, others[1]]], axis=1)
    ones = np.ones((count, 1))
    photo, seen = np.hstack([source, ones]).astype(np.float64), target.astype(np.float64)
    is_plane = np.abs(np.linalg.det(photo[drawn])) > 1e-4
    planes = np.linalg.solve(photo[drawn[is_plane]], seen[drawn[is_plane]])
    planes = planes[_plausible(planes.swapaxes(1, 2), extent_px, least=_LEAST_SIDE_OF_SEVERAL)]
    if len(planes) == 0:
        return NO_MATCH
    tolerance = np.maximum(_TOLERANCE * np.minimum(np.linalg.norm(planes[:, :2], axis=2).max(axis=1), extent_px), 1.0)
    agree = np.linalg.norm(photo @ planes - seen, axis=2) < tolerance[:, None]
    most = int(agree.sum(axis=1).argmax())
    agrees = agree[most]
    plane, *_ = np.linalg.lstsq(photo[agrees], seen[agrees], rcond=None)
    refined = np.linalg.norm(photo @ plane - seen, axis=1) < tolerance[most]
    if refined.sum() < agrees.sum() or not _plausible(plane.T, extent_px, least=_LEAST_SIDE_OF_SEVERAL):
        plane, refined = planes[most], agrees
    found = _match_of(plane.T, source[refined], target[refined])
    return found if found.inliers >= _FEWEST_OF_SEVERAL else NO_MATCH


def _plausible(matrices: NDArray[np.float64], extent_px: float, *, least: float = _SIDE_BOUNDS[0]) -> NDArray[np.bool_]:
    """Of matrices (…, 2, 3), those by which a package may lie in the crop."""
    sides = np.linalg.norm(matrices[..., :2], axis=-2)
    in_bounds = (sides > least * extent_px) & (sides < _SIDE_BOUNDS[1] * extent_px)
    across, down = matrices[..., 0], matrices[..., 1]
    shear = np.abs((across * down).sum(axis=-1)) / np.maximum(sides.prod(axis=-1), 1e-9)
    # A mirrored package does not exist: the features of a mirrored picture are mirrored before they are compared.
    upright = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0] > 0
    plausible: NDArray[np.bool_] = in_bounds.all(axis=-1) & (shear < _MOST_SHEAR) & upright
    return plausible
