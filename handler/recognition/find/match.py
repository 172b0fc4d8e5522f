"""Matches keypoints of catalog photos with a frame: first with the whole of it, then closer with each region."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx
from recognition.catalog.loaded import LoadedCatalog
from recognition.find.scene import PhotoMatch, PhotoPlace, Region, Scene, moved
from recognition.find.views import bounds_of, crop, scaled
from recognition.keypoints.colours import NOT_COMPARED, ColourMatch, compare
from recognition.keypoints.extract import LocalFeatures, LocalMatch, extract, match

#: Longer side and number of features for a whole frame, and for a crop of it.
_FRAME_PX, _FRAME_COUNT = 640, 500
_CROP_PX, _CROP_COUNT = 400, 500
#: Photos that a frame and a crop are held against: those with the most votes, and the most alike to the network.
_VOTED, _ALIKE = 8, 3
_CROP_PHOTOS = 10
#: Margin around a region, as a share of its sides: keypoints that a box cut off are worth more than pixels.
_MARGIN = 0.2
#: Fewer agreeing points are chance.
_LEAST_POINTS = 5
#: A region of more than this share of the frame was seen well enough in the frame, and so was one where so many points
#: agree.
_LARGE = 0.7
_SURE_POINTS = 12
#: Photos that a frame or a crop is held against the other way round. It is mirrored where so many points agree then,
#: and so many times as many as otherwise: letters and leaves that are the same both ways are few.
_OTHER_WAY = 3
_MIRRORED_POINTS = 8
_MIRRORED_LEAD = 2.0


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

    def mirrored(self, frame_width: int) -> Part:
        """The same part of the frame turned left for right."""
        width = self.pixels.shape[1]
        left, top = self.corner
        corner = (round(frame_width - left - width * self.scale), top)
        return Part(self.pixels[:, ::-1], self.features.mirrored(width), self.scale, corner)


def whole_of(frame: Image.Image) -> Part:
    """The frame as the part that it is of itself."""
    pixels = scaled(frame, _FRAME_PX)
    return Part(pixels, extract(pixels, count=_FRAME_COUNT), max(frame.size) / _FRAME_PX, (0, 0))


def part_of(frame: Image.Image, box: BoxXyxyPx, *, margin: float = _MARGIN) -> Part:
    """``box`` of the frame, with a margin around it as a share of its sides."""
    cut, corner = crop(frame, box, margin=margin)
    pixels = scaled(cut, _CROP_PX)
    return Part(pixels, extract(pixels, count=_CROP_COUNT), max(cut.size) / _CROP_PX, corner)


class KeypointMatcher:
    """Compares local features with those of a catalog."""

    def __init__(self, catalog: LoadedCatalog) -> None:
        self._catalog = catalog
        self._snapshot = catalog.snapshot

    def match_frame(self, scene: Scene, whole: Part, alike: list[int]) -> None:
        """Find matches of photos anywhere in the frame; ``alike`` are photos that its windows resemble, best first."""
        photos = self._voted(whole.features, scene)[:_VOTED]
        photos += [photo for photo in alike if photo not in photos][:_ALIKE]
        scene.matches += self._matches(scene, whole, photos)

    def look_in_roi(self, scene: Scene, box: BoxXyxyPx) -> None:
        """Find matches of photos in one part of the frame."""
        part = part_of(scene.frame, box, margin=0.0)
        scene.matches += self._matches(scene, part, self._voted(part.features, scene)[:_VOTED])

    def assign(self, scene: Scene, region: Region) -> list[PhotoMatch]:
        """Count the matches inside this region to it, and return them."""
        inside = _inside(scene, region)
        for found in inside:
            region.take_match(int(self._snapshot.photo_product[found.photo]), found)
        return inside

    def needs_closer_look(self, scene: Scene, region: Region) -> bool:
        """Too few keypoints match in this region so far, and more could be found on a closer crop."""
        left, top, right, bottom = bounds_of(scene.frame, region.box, margin=_MARGIN)
        is_large = max(right - left, bottom - top) > _LARGE * max(scene.frame.size)
        return not is_large and not _is_seen_well(_inside(scene, region))

    def match_region(self, scene: Scene, region: Region, closer: Future[Part] | None) -> None:
        """Assign matches so far to the region and, if those are too few, add those of the closer crop."""
        inside = self.assign(scene, region)
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
            region.take_match(int(self._snapshot.photo_product[found.photo]), found)
            # Regions overlap: the next one need not look for what was seen well in this one.
            scene.matches.append(found)

    def turn(self, scene: Scene, parts: Sequence[tuple[Part, Sequence[int]]]) -> bool:
        """Turn the frame left for right where print reads so in a part of it, with the matches found that way.

        Each part comes with photos that it resembles, best first. Where print reads well as it is, nothing is compared.
        """
        if not scene.may_mirror or _is_seen_well(scene.matches):
            return False
        held = []
        for part, alike in parts:
            turned = part.mirrored(scene.frame.width)
            photos = self._voted(turned.features, scene)[:_OTHER_WAY]
            photos += [photo for photo in alike if photo not in photos][:_OTHER_WAY]
            held += [(turned, *found) for found in self._held(turned, photos)]
        most = max((result.inliers for _, _, result, _ in held), default=0)
        as_it_is = max((found.points for found in scene.matches), default=0)
        if most < max(_MIRRORED_POINTS, _MIRRORED_LEAD * as_it_is):
            return False
        scene.mirror()
        scene.matches = [self._placed(scene, *found) for found in held]
        return True

    def _voted(self, found: LocalFeatures, scene: Scene) -> list[int]:
        index = self._catalog.keypoint_index
        if index is None or len(found) == 0:
            return []
        votes = index.votes(found.descriptors) * scene.allowed[self._snapshot.photo_product]
        return [int(photo) for photo in np.argsort(-votes, kind="stable")[: 2 * _VOTED] if votes[photo] > 0]

    def _matches(self, scene: Scene, part: Part, photos: list[int]) -> list[PhotoMatch]:
        return [self._placed(scene, part, *found) for found in self._held(part, photos)]

    def _held(self, part: Part, photos: Sequence[int]) -> list[tuple[int, LocalMatch, BoxXyxyPx]]:
        """Photos that match, how, and their boxes in the part's pixels."""
        offsets = self._snapshot.local_offsets
        rows = [slice(offsets[photo], offsets[photo + 1]) for photo in photos]
        if not rows:
            return []
        starts = np.cumsum([0, *(each.stop - each.start for each in rows)])
        xy = np.concatenate([self._snapshot.local_xy[each] for each in rows]).astype(np.float32)
        packed = np.concatenate([self._snapshot.local_descriptors[each] for each in rows])
        return [
            (photo, result, box)
            for photo, result in zip(photos, match(part.features, xy, packed, starts), strict=True)
            if result.inliers >= _LEAST_POINTS and (box := visible_box(result, part.size)) is not None
        ]

    def _placed(self, scene: Scene, part: Part, photo: int, result: LocalMatch, box: BoxXyxyPx) -> PhotoMatch:
        colours = self._colours(scene, photo, result, part)
        place = place_of(result, part.scale, part.corner)
        return PhotoMatch(photo, result.inliers, moved(box, part.scale, part.corner), colours, place)

    def _colours(self, scene: Scene, photo: int, result: LocalMatch, part: Part) -> ColourMatch:
        if result.matrix is None or result.in_photo is None:
            return NOT_COMPARED
        matrix = result.matrix * part.scale
        matrix[:, 2] += part.corner
        return compare(self._snapshot.photo_cells[photo], scene.pixels, matrix, result.in_photo)


def _inside(scene: Scene, region: Region) -> list[PhotoMatch]:
    return [found for found in scene.matches if region.holds(found.box, margin=0.1)]


def _is_seen_well(inside: list[PhotoMatch]) -> bool:
    return any(found.points >= _SURE_POINTS for found in inside)


def visible_box(match: LocalMatch, size: tuple[int, int]) -> BoxXyxyPx | None:
    """The box around a photo's corners as ``match`` maps them, cut to ``size``; None where nothing is left."""
    if match.matrix is None:
        return None
    outline = _outline(match.matrix)
    outline[:2] = np.maximum(outline[:2], 0.0)
    outline[2:] = np.minimum(outline[2:], size)
    left, top, right, bottom = _towards_keypoints(outline, match)
    if right - left < 4 or bottom - top < 4:
        return None
    return float(left), float(top), float(right), float(bottom)


def place_of(match: LocalMatch, scale: float, corner: tuple[int, int]) -> PhotoPlace | None:
    """Place in the frame of a photo matched in a crop; scale and corner as for ``moved``."""
    if match.matrix is None or match.extent is None or match.in_photo is None:
        return None
    outline, extent, in_photo = (_box(sides) for sides in (_outline(match.matrix), match.extent, match.in_photo))
    return PhotoPlace(moved(outline, scale, corner), moved(extent, scale, corner), in_photo)


def _outline(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box (4,) around a photo's corners."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=np.float64) @ matrix.T
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _box(sides: NDArray[np.float64]) -> BoxXyxyPx:
    return float(sides[0]), float(sides[1]), float(sides[2]), float(sides[3])


#: A photo shows its product with a margin that is not known. The points that agree lie on the product, and reach nearly
#: to its sides where they are many: the box lies between the two, this far from the points' own.
OUTWARDS = 0.6


def _towards_keypoints(outline: NDArray[np.float64], match: LocalMatch) -> NDArray[np.float64]:
    return outline if match.extent is None else match.extent + OUTWARDS * (outline - match.extent)
