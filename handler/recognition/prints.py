"""Looks for the print of catalog photos in a frame: first in the whole of it, then closer in each region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.catalog import LoadedCatalog
from recognition.colours import NOT_COMPARED, ColourMatch, compare
from recognition.local_features import LocalFeatures, LocalMatch, extract, match
from recognition.scene import PhotoMatch, Region, Scene, moved, place_of, visible_box
from recognition.views import crop, scaled

#: Longer side and number of features for a whole frame, and for a crop of it.
_FRAME_PX, _FRAME_COUNT = 640, 500
_CROP_PX, _CROP_COUNT = 400, 500
#: Photos that a frame and a crop are held against: those with the most votes, and the most alike to the network.
_VOTED, _ALIKE = 8, 3
_CROP_PHOTOS = 10
#: How much around a region is looked at, as a share of its sides: print that a box cut off is worth more than pixels.
_MARGIN = 0.2
#: Fewer agreeing points are chance.
_LEAST_POINTS = 5
#: A region of more than this share of the frame was seen well enough in the frame, and so was one where so many points
#: agree.
_LARGE = 0.7
_SURE_POINTS = 12


class PrintMatcher:
    """Compares local features with those of a catalog."""

    def __init__(self, catalog: LoadedCatalog) -> None:
        self._catalog = catalog
        self._snapshot = catalog.snapshot

    def look_at_frame(self, scene: Scene, alike: list[int]) -> None:
        """Find matches of photos anywhere in the frame; ``alike`` are photos that its windows resemble, best first."""
        pixels = scaled(scene.frame, _FRAME_PX)
        found = extract(pixels, count=_FRAME_COUNT)
        photos = self._voted(found, scene)[:_VOTED]
        photos += [photo for photo in alike if photo not in photos][:_ALIKE]
        scale = max(scene.frame.size) / _FRAME_PX
        scene.matches += self._matches(scene, found, photos, _Placed(pixels, scale, (0, 0)))

    def look_at_region(self, scene: Scene, region: Region) -> None:
        """Take over what the frame showed in this region and, if that tells too little, look closer."""
        inside = [found for found in scene.matches if region.holds(found.box, margin=0.1)]
        for found in inside:
            region.take_print(int(self._snapshot.photo_product[found.photo]), found)
        if any(found.points >= _SURE_POINTS for found in inside):
            return
        cut, corner = crop(scene.frame, region.box, margin=_MARGIN)
        if max(cut.size) > _LARGE * max(scene.frame.size):
            return
        pixels = scaled(cut, _CROP_PX)
        features = extract(pixels, count=_CROP_COUNT)
        photos = [found.photo for found in sorted(inside, key=lambda found: -found.points)][: _CROP_PHOTOS // 3]
        photos += [photo for photo in self._voted(features, scene) if photo not in photos][: _CROP_PHOTOS // 2]
        photos += [photo for photo in region.views if photo not in photos][: _CROP_PHOTOS - len(photos)]
        scale = max(cut.size) / _CROP_PX
        for found in self._matches(scene, features, photos, _Placed(pixels, scale, corner)):
            region.take_print(int(self._snapshot.photo_product[found.photo]), found)

    def _voted(self, found: LocalFeatures, scene: Scene) -> list[int]:
        index = self._catalog.print_index
        if index is None or len(found) == 0:
            return []
        votes = index.votes(found.descriptors) * scene.allowed[self._snapshot.photo_product]
        return [int(photo) for photo in np.argsort(-votes, kind="stable")[: 2 * _VOTED] if votes[photo] > 0]

    def _matches(self, scene: Scene, found: LocalFeatures, photos: list[int], placed: _Placed) -> list[PhotoMatch]:
        offsets = self._snapshot.local_offsets
        parts = [slice(offsets[photo], offsets[photo + 1]) for photo in photos]
        if not parts:
            return []
        starts = np.cumsum([0, *(part.stop - part.start for part in parts)])
        xy = np.concatenate([self._snapshot.local_xy[part] for part in parts]).astype(np.float32)
        packed = np.concatenate([self._snapshot.local_descriptors[part] for part in parts])
        results = []
        for photo, result in zip(photos, match(found, xy, packed, starts), strict=True):
            box = visible_box(result, placed.size)
            if result.inliers >= _LEAST_POINTS and box is not None:
                colours = self._colours(scene, photo, result, placed)
                place = place_of(result, placed.scale, placed.corner)
                box = moved(box, placed.scale, placed.corner)
                results.append(PhotoMatch(photo, result.inliers, box, colours, place))
        return results

    def _colours(self, scene: Scene, photo: int, result: LocalMatch, placed: _Placed) -> ColourMatch:
        if result.matrix is None or result.in_photo is None:
            return NOT_COMPARED
        matrix = result.matrix * placed.scale
        matrix[:, 2] += placed.corner
        return compare(self._snapshot.photo_cells[photo], scene.pixels, matrix, result.in_photo)


@dataclass(frozen=True)
class _Placed:
    """``pixels`` show the frame from ``corner`` on, made smaller by ``scale``."""

    pixels: NDArray[np.uint8]
    scale: float
    corner: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]
