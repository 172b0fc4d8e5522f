"""Looks for the print of catalog photos in a frame: first in the whole of it, then closer in each region."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.catalog import LoadedCatalog
from recognition.colours import NOT_COMPARED, ColourMatch, compare
from recognition.local_features import LocalFeatures, LocalMatch, extract, match
from recognition.reply import BoxXyxyPx
from recognition.scene import PhotoMatch, Region, Scene, moved, place_of, visible_box
from recognition.views import bounds_of, crop, scaled

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


@dataclass(frozen=True)
class Part:
    """A part of a frame, and its local features with their points in ``pixels``.

    ``pixels``, uint8 (H, W, 3), show the frame from ``corner`` on, made smaller by ``scale``.
    """

    pixels: NDArray[np.uint8]
    features: LocalFeatures
    scale: float
    corner: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of ``pixels``."""
        return self.pixels.shape[1], self.pixels.shape[0]


def whole_of(frame: Image.Image) -> Part:
    """The frame as the part that it is of itself."""
    pixels = scaled(frame, _FRAME_PX)
    return Part(pixels, extract(pixels, count=_FRAME_COUNT), max(frame.size) / _FRAME_PX, (0, 0))


def part_of(frame: Image.Image, box: BoxXyxyPx, *, margin: float = _MARGIN) -> Part:
    """What ``box`` shows, with a margin around it as a share of its sides."""
    cut, corner = crop(frame, box, margin=margin)
    pixels = scaled(cut, _CROP_PX)
    return Part(pixels, extract(pixels, count=_CROP_COUNT), max(cut.size) / _CROP_PX, corner)


class PrintMatcher:
    """Compares local features with those of a catalog."""

    def __init__(self, catalog: LoadedCatalog) -> None:
        self._catalog = catalog
        self._snapshot = catalog.snapshot

    def look_at_frame(self, scene: Scene, whole: Part, alike: list[int]) -> None:
        """Find matches of photos anywhere in the frame; ``alike`` are photos that its windows resemble, best first."""
        photos = self._voted(whole.features, scene)[:_VOTED]
        photos += [photo for photo in alike if photo not in photos][:_ALIKE]
        scene.matches += self._matches(scene, whole, photos)

    def look_around(self, scene: Scene, box: BoxXyxyPx) -> None:
        """Find matches of photos in one part of the frame."""
        part = part_of(scene.frame, box, margin=0.0)
        scene.matches += self._matches(scene, part, self._voted(part.features, scene)[:_VOTED])

    def take_over(self, scene: Scene, region: Region) -> list[PhotoMatch]:
        """Count to this region what was found in it, which is returned."""
        inside = _inside(scene, region)
        for found in inside:
            region.take_print(int(self._snapshot.photo_product[found.photo]), found)
        return inside

    def calls_for_a_closer_look(self, scene: Scene, region: Region) -> bool:
        """Whether what was found in this region so far tells too little, and more could be seen closer."""
        left, top, right, bottom = bounds_of(scene.frame, region.box, margin=_MARGIN)
        is_large = max(right - left, bottom - top) > _LARGE * max(scene.frame.size)
        return not is_large and not _is_seen_well(_inside(scene, region))

    def look_at_region(self, scene: Scene, region: Region, closer: Future[Part] | None) -> None:
        """Take over what was found in this region so far and, if that still tells too little, what is seen closer."""
        inside = self.take_over(scene, region)
        if closer is None:
            return
        if _is_seen_well(inside):
            closer.cancel()
            return
        part = closer.result()
        photos = [found.photo for found in sorted(inside, key=lambda found: -found.points)][: _CROP_PHOTOS // 3]
        photos += [photo for photo in self._voted(part.features, scene) if photo not in photos][: _CROP_PHOTOS // 2]
        photos += [photo for photo in region.views if photo not in photos][: _CROP_PHOTOS - len(photos)]
        for found in self._matches(scene, part, photos):
            region.take_print(int(self._snapshot.photo_product[found.photo]), found)
            # Regions overlap: the next one need not look for what was seen well in this one.
            scene.matches.append(found)

    def _voted(self, found: LocalFeatures, scene: Scene) -> list[int]:
        index = self._catalog.print_index
        if index is None or len(found) == 0:
            return []
        votes = index.votes(found.descriptors) * scene.allowed[self._snapshot.photo_product]
        return [int(photo) for photo in np.argsort(-votes, kind="stable")[: 2 * _VOTED] if votes[photo] > 0]

    def _matches(self, scene: Scene, part: Part, photos: list[int]) -> list[PhotoMatch]:
        offsets = self._snapshot.local_offsets
        rows = [slice(offsets[photo], offsets[photo + 1]) for photo in photos]
        if not rows:
            return []
        starts = np.cumsum([0, *(each.stop - each.start for each in rows)])
        xy = np.concatenate([self._snapshot.local_xy[each] for each in rows]).astype(np.float32)
        packed = np.concatenate([self._snapshot.local_descriptors[each] for each in rows])
        results = []
        for photo, result in zip(photos, match(part.features, xy, packed, starts), strict=True):
            box = visible_box(result, part.size)
            if result.inliers >= _LEAST_POINTS and box is not None:
                colours = self._colours(scene, photo, result, part)
                place = place_of(result, part.scale, part.corner)
                box = moved(box, part.scale, part.corner)
                results.append(PhotoMatch(photo, result.inliers, box, colours, place))
        return results

    def _colours(self, scene: Scene, photo: int, result: LocalMatch, part: Part) -> ColourMatch:
        if result.matrix is None or result.in_photo is None:
            return NOT_COMPARED
        matrix = result.matrix * part.scale
        matrix[:, 2] += part.corner
        return compare(self._snapshot.photo_cells[photo], scene.pixels, matrix, result.in_photo)


def _inside(scene: Scene, region: Region) -> list[PhotoMatch]:
    """What was found so far in this region."""
    return [found for found in scene.matches if region.holds(found.box, margin=0.1)]


def _is_seen_well(inside: list[PhotoMatch]) -> bool:
    return any(found.points >= _SURE_POINTS for found in inside)
