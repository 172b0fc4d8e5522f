"""What is known of a frame while it is looked at: its regions, and what speaks for which product in each."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.catalog import LoadedCatalog
from recognition.colours import NOT_COMPARED, ColourMatch
from recognition.local_features import LocalMatch
from recognition.regions import intersection_over_union
from recognition.reply import BoxXyxyPx, Evidence

#: Regions of a frame that get a second look.
_MOST_REGIONS = 3
_OVERLAP = 0.3
#: How much is looked at around a window, as a multiple of its sides.
_WIDER = 1.6
#: Agreeing points from which print alone makes a region, ahead of every window.
_POINTS_FOR_REGION = 7
#: Agreeing points in the whole frame from which a product is as good as found. Of 140 composed frames with one product
#: each, 79 had so many, and looking at fewer other regions changed no answer.
_SURE_POINTS = 15


@dataclass(frozen=True)
class PhotoMatch:
    """Agreement in print with catalog photo ``photo``; the product is about in ``box``, in pixels of the frame.

    ``colours`` says whether the photo's colours are there as well, ``placed`` how the photo lies in the frame.
    """

    photo: int
    points: int
    box: BoxXyxyPx
    colours: ColourMatch = NOT_COMPARED
    placed: PhotoPlace | None = None


@dataclass(frozen=True)
class PhotoPlace:
    """``outline`` is around the whole photo, ``extent`` around the points that agree, both in pixels of the frame.

    The outline may reach out of the frame. ``in_photo`` is around the points' partners, in shares of the photo's sides.
    """

    outline: BoxXyxyPx
    extent: BoxXyxyPx
    in_photo: BoxXyxyPx


@dataclass(frozen=True)
class Sighting:
    """A product that may be shown, with a confidence of 0..1; ``placed`` where print told where it is."""

    product: int
    confidence: float
    box: BoxXyxyPx
    evidence: Evidence
    placed: PhotoPlace | None = None


@dataclass
class Region:
    """A part of the frame. The dictionaries are by product: inner product, best match in print, shared mass of text."""

    box: BoxXyxyPx
    crops: list[BoxXyxyPx] = field(default_factory=list)
    photo: dict[int, float] = field(default_factory=dict)
    photo_box: dict[int, BoxXyxyPx] = field(default_factory=dict)
    prints: dict[int, PhotoMatch] = field(default_factory=dict)
    text: dict[int, TextMass] = field(default_factory=dict)
    views: list[int] = field(default_factory=list)

    def take_views(
        self, catalog: LoadedCatalog, crop: BoxXyxyPx, scores: NDArray[np.float32], views: NDArray[np.int64]
    ) -> None:
        """Keep the best inner product of each product among the nearest views of ``crop``, and which crop had it."""
        for score, view in zip(scores, views, strict=True):
            if view >= 0:
                photo = int(catalog.snapshot.view_photo[view])
                product = int(catalog.snapshot.photo_product[photo])
                if float(score) > self.photo.get(product, -1.0):
                    self.photo[product] = float(score)
                    self.photo_box[product] = crop
                if photo not in self.views:
                    self.views.append(photo)

    def take_print(self, product: int, match: PhotoMatch) -> None:
        """Keep the match with the most points."""
        if product not in self.prints or self.prints[product].points < match.points:
            self.prints[product] = match

    def holds(self, box: BoxXyxyPx, *, margin: float) -> bool:
        """Whether the middle of ``box`` lies in the region or within ``margin`` of its sides around it."""
        wide, high = (self.box[2] - self.box[0]) * margin, (self.box[3] - self.box[1]) * margin
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return self.box[0] - wide <= x <= self.box[2] + wide and self.box[1] - high <= y <= self.box[3] + high


@dataclass(frozen=True)
class TextMass:
    """Mass of text shared with a product's best photo and its name, and the name's own."""

    read_print: float
    read_name: float
    name_mass: float


@dataclass
class Scene:
    """A frame, the products that may be in it (P,), and the regions found so far."""

    frame: Image.Image
    allowed: NDArray[np.bool_]
    matches: list[PhotoMatch] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    text_was_read: bool = False

    @functools.cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The frame as uint8 (H, W, 3)."""
        return np.asarray(self.frame)


def visible_box(match: LocalMatch, size: tuple[int, int]) -> BoxXyxyPx | None:
    """The box around a photo's corners as ``match`` maps them, cut to ``size``; None where nothing is left."""
    if match.matrix is None:
        return None
    outline = _outline(match.matrix)
    outline[:2] = np.maximum(outline[:2], 0.0)
    outline[2:] = np.minimum(outline[2:], size)
    left, top, right, bottom = _towards_print(outline, match)
    if right - left < 4 or bottom - top < 4:
        return None
    return float(left), float(top), float(right), float(bottom)


def place_of(match: LocalMatch, scale: float, corner: tuple[int, int]) -> PhotoPlace | None:
    """How the photo of a ``match`` in a crop lies in the frame; scale and corner as for ``moved``."""
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


def _towards_print(outline: NDArray[np.float64], match: LocalMatch) -> NDArray[np.float64]:
    return outline if match.extent is None else match.extent + OUTWARDS * (outline - match.extent)


def choose_regions(scene: Scene, windows: list[BoxXyxyPx]) -> list[Region]:
    """Regions where print agrees, most points first, then windows that none of those explains.

    Where print makes one sure, one more window is looked at, and no crop of the whole frame.
    """
    matches = sorted(scene.matches, key=lambda match: -match.points)
    is_sure = bool(matches) and matches[0].points >= _SURE_POINTS
    regions: list[Region] = []
    for box in (match.box for match in matches if match.points >= _POINTS_FOR_REGION):
        if len(regions) < _MOST_REGIONS and not any(_same(box, region.box) for region in regions):
            regions.append(Region(box, [box]))
    printed = [region.box for region in regions]
    most = min(_MOST_REGIONS, len(regions) + 1) if is_sure else _MOST_REGIONS
    for box in windows:
        if len(regions) < most and not any(_same(box, other) for other in printed):
            # A window that matches best is often a part of the product: it is looked at with more around it, too.
            wider = grown(box, _WIDER, scene.frame.size)
            regions.append(Region(wider, [box, wider]))
    if regions and not is_sure:
        # A product held into the camera fills the frame, and its best window is some detail of it.
        regions[0].crops.append((0.0, 0.0, float(scene.frame.width), float(scene.frame.height)))
    return regions


def printed_box(scene: Scene) -> BoxXyxyPx | None:
    """Where print agrees best, if it agrees well enough for a region."""
    best = max(scene.matches, key=lambda match: match.points, default=None)
    return None if best is None or best.points < _POINTS_FOR_REGION else best.box


def _same(box: BoxXyxyPx, other: BoxXyxyPx) -> bool:
    """Whether two boxes are of one thing: they overlap, or the middle of the first lies in the second."""
    overlap = intersection_over_union(np.array(box), np.array([other]))[0]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return bool(overlap > _OVERLAP) or (other[0] <= x <= other[2] and other[1] <= y <= other[3])


def moved(box: BoxXyxyPx, scale: float, corner: tuple[int, int]) -> BoxXyxyPx:
    """A box in a crop that was scaled by 1 / ``scale``, in pixels of the frame where the crop begins at ``corner``."""
    return (
        box[0] * scale + corner[0],
        box[1] * scale + corner[1],
        box[2] * scale + corner[0],
        box[3] * scale + corner[1],
    )


def grown(box: BoxXyxyPx, factor: float, size: tuple[int, int]) -> BoxXyxyPx:
    """``box`` with sides ``factor`` times as long around the same middle, cut to ``size``."""
    wide, high = (box[2] - box[0]) * (factor - 1) / 2, (box[3] - box[1]) * (factor - 1) / 2
    return (
        max(0.0, box[0] - wide),
        max(0.0, box[1] - high),
        min(float(size[0]), box[2] + wide),
        min(float(size[1]), box[3] + high),
    )
