"""A frame while it is searched: its regions, and the evidence for products in each."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx, iou, mirrored
from contract.reply import Evidence
from recognition.catalog.loaded import LoadedCatalog
from recognition.keypoints.colours import NOT_COMPARED, ColourMatch
from recognition.text.ocr import ReadLine

#: Regions of a frame that are searched closer.
_MOST_REGIONS = 3
_OVERLAP = 0.3
#: How much is looked at around a window, as a multiple of its sides.
_WIDER = 1.6
#: Matching keypoints from which they alone make a region, ahead of every window.
_POINTS_FOR_REGION = 7
#: Agreeing points in the whole frame from which a product is as good as found. Of 140 composed frames with one product
#: each, 79 had so many, and looking at fewer other regions changed no answer.
_SURE_POINTS = 15


@dataclass(frozen=True)
class PhotoMatch:
    """Keypoints of catalog photo ``photo`` that match; the product is about in ``box``, in pixels of the frame.

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
class FrameDetection:
    """A product (row of the catalog) with a confidence of 0..1, ``placed`` where keypoints matched."""

    product: int
    confidence: float
    box: BoxXyxyPx
    evidence: Evidence
    placed: PhotoPlace | None = None


class Likeness(NamedTuple):
    """Likeness of a crop of the frame, ``box``, to a view of a photo.

    ``salience``: standard deviations by which ``similarity``, their inner product, is above that of backgrounds with
    the same view; the similarity itself where no background was fitted.
    """

    salience: float
    similarity: float
    box: BoxXyxyPx


@dataclass
class Region:
    """A part of the frame. The dictionaries are by product: best likeness, best keypoint match, shared mass of text.

    ``text_box`` is around the lines that name a product known by its name alone.
    """

    box: BoxXyxyPx
    crops: list[BoxXyxyPx] = field(default_factory=list)
    photo: dict[int, Likeness] = field(default_factory=dict)
    matches: dict[int, PhotoMatch] = field(default_factory=dict)
    lines: list[ReadLine] = field(default_factory=list)
    text: dict[int, TextMass] = field(default_factory=dict)
    text_box: dict[int, BoxXyxyPx] = field(default_factory=dict)
    views: list[int] = field(default_factory=list)

    def take_views(
        self,
        catalog: LoadedCatalog,
        crop: BoxXyxyPx,
        views: NDArray[np.int64],
        similarities: NDArray[np.float32],
        saliences: NDArray[np.float32],
    ) -> None:
        """Keep each product's best likeness among the nearest views of ``crop``."""
        found = sorted(
            (Likeness(float(salience), float(similarity), crop), int(view))
            for view, similarity, salience in zip(views, similarities, saliences, strict=True)
            if view >= 0
        )
        for likeness, view in reversed(found):
            photo = int(catalog.snapshot.view_photo[view])
            product = int(catalog.snapshot.photo_product[photo])
            if product not in self.photo or likeness > self.photo[product]:
                self.photo[product] = likeness
            if photo not in self.views:
                self.views.append(photo)

    def take_match(self, product: int, match: PhotoMatch) -> None:
        if product not in self.matches or self.matches[product].points < match.points:
            self.matches[product] = match

    def mirror(self, width_px: float) -> None:
        """Turn left for right with a frame of that width; matches go, as print reads one way."""
        self.box = mirrored(self.box, width_px)
        self.crops = [mirrored(box, width_px) for box in self.crops]
        self.photo = {
            product: likeness._replace(box=mirrored(likeness.box, width_px)) for product, likeness in self.photo.items()
        }
        self.matches = {}

    def holds(self, box: BoxXyxyPx, *, margin: float) -> bool:
        """True where the middle of ``box`` lies in the region or within ``margin`` of its sides around it."""
        wide, high = (self.box[2] - self.box[0]) * margin, (self.box[3] - self.box[1]) * margin
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return self.box[0] - wide <= x <= self.box[2] + wide and self.box[1] - high <= y <= self.box[3] + high


@dataclass(frozen=True)
class TextMass:
    """Mass of text shared with a product's best photo and its name, and the name's own."""

    read_packaging: float
    read_name: float
    name_mass: float


@dataclass
class Scene:
    """A frame, the products that may be in it (P,), and the regions found so far.

    ``mirrored``: the frame is the image turned left for right; ``may_mirror``: it may be turned where print says so.
    ``of_roi``: what was found in the roi, and was too little to leave the rest of the frame unsearched.
    """

    frame: Image.Image
    allowed: NDArray[np.bool_]
    mirrored: bool = False
    may_mirror: bool = False
    matches: list[PhotoMatch] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    text_was_read: bool = False
    of_roi: tuple[list[PhotoMatch], list[Region]] = field(default_factory=lambda: ([], []))

    @functools.cached_property
    def pixels(self) -> NDArray[np.uint8]:
        return np.asarray(self.frame)

    def mirror(self) -> None:
        """Turn the frame left for right, with the regions found so far; matches go, as print reads one way."""
        self.frame = self.frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        self.mirrored, self.may_mirror = not self.mirrored, False
        self.__dict__.pop("pixels", None)
        self.matches = []
        for region in self.regions:
            region.mirror(self.frame.width)


def choose_regions(scene: Scene, windows: list[BoxXyxyPx]) -> list[Region]:
    """Regions where keypoints match, most first, then windows that none of those explains.

    Where keypoints make one sure, one more window is looked at, and no crop of the whole frame.
    """
    matches = sorted(scene.matches, key=lambda match: -match.points)
    is_sure = bool(matches) and matches[0].points >= _SURE_POINTS
    regions: list[Region] = []
    for box in (match.box for match in matches if match.points >= _POINTS_FOR_REGION):
        if len(regions) < _MOST_REGIONS and not any(_same(box, region.box) for region in regions):
            regions.append(Region(box, [box]))
    matched = [region.box for region in regions]
    most = min(_MOST_REGIONS, len(regions) + 1) if is_sure else _MOST_REGIONS
    for box in windows:
        if len(regions) < most and not any(_same(box, other) for other in matched):
            # A window that matches best is often a part of the product: it is looked at with more around it; the first
            # also by itself.
            wider = grown(box, _WIDER, scene.frame.size)
            regions.append(Region(wider, [wider] if regions else [box, wider]))
    if regions and not is_sure:
        # A product held into the camera fills the frame, and its best window is some detail of it.
        regions[0].crops.append((0.0, 0.0, float(scene.frame.width), float(scene.frame.height)))
    return regions


def matched_box(scene: Scene) -> BoxXyxyPx | None:
    """The box of the best match, if it has enough keypoints for a region."""
    best = max(scene.matches, key=lambda match: match.points, default=None)
    return None if best is None or best.points < _POINTS_FOR_REGION else best.box


def _same(box: BoxXyxyPx, other: BoxXyxyPx) -> bool:
    """Two boxes are of one thing where they overlap, or the middle of the first lies in the second."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return iou(box, other) > _OVERLAP or (other[0] <= x <= other[2] and other[1] <= y <= other[3])


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
