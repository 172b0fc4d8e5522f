"""Which products of a catalog a frame shows, and where: dense pass, crops, print, text, and one confidence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition import evidence as ev
from recognition.box_fit import BoxCorrection
from recognition.boxes import middle_of, refined, surroundings_of
from recognition.calibration import Weights
from recognition.catalog import LoadedCatalog
from recognition.embedding import crop_vectors
from recognition.prints import PrintMatcher
from recognition.regions import pool, suppress, windows_of
from recognition.reply import BoxXyxyPx
from recognition.request import TextMode
from recognition.runtime import Runtime
from recognition.scene import Region, Scene, Sighting, choose_regions, moved
from recognition.text.documents import query_of
from recognition.text.lexicon import load_lexicon
from recognition.text.ocr import ReadLine, TextReader
from recognition.vectors import PLAIN, VectorSpace
from recognition.views import crop, dense_maps

#: Windows of the dense pass that are followed up where print tells nothing.
_WINDOWS = 3
_WINDOW_OVERLAP = 0.3
#: Views of the gallery that each window and each crop is compared with.
_COARSE_VIEWS = 1
_FINE_VIEWS = 24
#: With this confidence text is not read: it could no longer change what is shown. Nor where the likeliest product is
#: less likely than the second figure: a frame of nothing would otherwise be read for nothing.
_SURE = 0.985
_HOPELESS = 0.15
#: Text may stand a little outside of the box that was found.
_TEXT_MARGIN = 0.25
#: Sightings of a frame whose boxes are refined: the best, and others that are at least so likely.
_MOST_REFINED = 3
_REFINED_FROM = 0.5
#: In a smaller picture no photo is looked for: nothing could be told apart, and those who only ask whether the archive
#: answers, and with which catalog, do not pay for a search.
_LEAST_SIDE_PX = 24
#: Side for text in a whole frame, where nothing says which part to enlarge.
_FRAME_TEXT_PX = 960


@dataclass(frozen=True)
class Look:
    """A frame (RGB), which of the P products may be in it, and how to treat text.

    ``label_probabilities`` (C,) are the classifier's for the frame.
    """

    frame: Image.Image
    allowed: NDArray[np.bool_]
    text: TextMode
    label_probabilities: NDArray[np.float32]


@dataclass
class Found:
    """Sightings best first; boxes in pixels of the frame. ``scene`` is what they were concluded from."""

    sightings: list[Sighting]
    lines: list[ReadLine]
    scene: Scene


@dataclass
class FinderSeconds:
    """Wall time of a batch's stages: dense pass and crops, local features, reading, everything else."""

    network: float = 0.0
    print: float = 0.0
    text: float = 0.0
    match: float = 0.0

    def add(self, other: FinderSeconds) -> None:
        """Count in another batch's."""
        self.network += other.network
        self.print += other.print
        self.text += other.text
        self.match += other.match


@dataclass
class FinderResult:
    """``found[i]`` belongs to ``looks[i]``; None where looking at it failed."""

    found: list[Found | None] = field(default_factory=list)
    seconds: FinderSeconds = field(default_factory=FinderSeconds)


class Finder:
    """Finds the products of whatever catalog it is given. Not thread-safe."""

    def __init__(
        self,
        runtime: Runtime,
        reader: TextReader | None,
        weights: Weights,
        space: VectorSpace = PLAIN,
        box_fit: BoxCorrection | None = None,
    ) -> None:
        """Without a ``reader`` no text is ever read; ``space`` is the catalog photos' own."""
        self.runtime = runtime
        self._reader = reader
        self._weights = weights
        self._space = space
        self.box_fit = box_fit
        self._lexicon = load_lexicon()

    def find(self, catalog: LoadedCatalog, looks: Sequence[Look]) -> FinderResult:
        """Look at all frames together, each for itself."""
        result = FinderResult()
        scenes = [Scene(look.frame, look.allowed) for look in looks]
        large = [scene for scene in scenes if min(scene.frame.size) >= _LEAST_SIDE_PX]
        if catalog.with_photos and large:
            self._look_for_photos(catalog, large, result.seconds)
        for scene, look in zip(scenes, looks, strict=True):
            if not scene.regions:
                scene.regions = [Region((0.0, 0.0, float(look.frame.width), float(look.frame.height)))]
            labels = ev.label_evidence(catalog, look.label_probabilities)
            result.found.append(self._decide(catalog, scene, look, labels, result.seconds))
        self._refine(catalog, [found for found in result.found if found is not None], result.seconds)
        return result

    def scene_of(self, catalog: LoadedCatalog, look: Look) -> Scene:
        """What is found in one frame, before it is weighed.

        Raises:
            RuntimeError: looking failed; the cause is chained.
        """
        [found] = self.find(catalog, [look]).found
        if found is None:
            raise RuntimeError("the frame could not be looked at")
        return found.scene

    def _look_for_photos(self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: FinderSeconds) -> None:
        matcher = PrintMatcher(catalog)
        with _Clock(seconds, "network"):
            maps = dense_maps(self.runtime, [scene.frame for scene in scenes])
        for scene, feature_map in zip(scenes, maps, strict=True):
            with _Clock(seconds, "match"):
                windows, photos = self._windows(catalog, scene, feature_map)
            with _Clock(seconds, "print"):
                matcher.look_at_frame(scene, photos)
            scene.regions = choose_regions(scene, windows)
        regions = [(scene, region) for scene in scenes for region in scene.regions]
        crops = [(scene, region, box) for scene, region in regions for box in region.crops]
        with _Clock(seconds, "network"):
            vectors = crop_vectors(self.runtime, self._space, [crop(scene.frame, box)[0] for scene, _, box in crops])
        with _Clock(seconds, "match"):
            for scene in scenes:
                rows = [row for row, (owner, _, _) in enumerate(crops) if owner is scene]
                # All crops of a frame in one call: the candidates of one are read from the snapshot once.
                scores, views = catalog.photo_index.search(
                    vectors[rows], count=_FINE_VIEWS, allowed=scene.allowed, effort="fine"
                )
                for row, *nearest in zip(rows, scores, views, strict=True):
                    _, region, box = crops[row]
                    region.take_views(catalog, box, *nearest)
        with _Clock(seconds, "print"):
            for scene, region in regions:
                matcher.look_at_region(scene, region)

    def _windows(
        self, catalog: LoadedCatalog, scene: Scene, feature_map: NDArray[np.float32]
    ) -> tuple[list[BoxXyxyPx], list[int]]:
        """Boxes of the windows that stand out most by their likeness to a photo, and those photos, best first."""
        windows = windows_of(*feature_map.shape[1:])
        scores, views = catalog.photo_index.search(
            self._space.vectors(pool(feature_map, windows)), count=_COARSE_VIEWS, allowed=scene.allowed, effort="coarse"
        )
        best = self._salience(catalog, scores[:, 0], views[:, 0])
        cell = np.array([scene.frame.width / feature_map.shape[2], scene.frame.height / feature_map.shape[1]] * 2)
        kept = suppress(windows.cells, best, count=_WINDOWS, overlap=_WINDOW_OVERLAP)
        boxes: list[BoxXyxyPx] = [tuple(float(side) for side in windows.cells[index] * cell) for index in kept]  # type: ignore[misc]
        order = np.argsort(-best, kind="stable")
        photos = catalog.snapshot.view_photo[views[order, 0][np.isfinite(best[order])]]
        return boxes, list(dict.fromkeys(int(photo) for photo in photos))

    def _salience(
        self, catalog: LoadedCatalog, similarity: NDArray[np.float32], views: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """How much each window's likeness to its view says; as it is where nothing is known of backgrounds."""
        if self._space.background is None:
            return similarity
        unique, places = np.unique(np.maximum(views, 0), return_inverse=True)
        vectors = catalog.snapshot.view_vectors[unique].astype(np.float32)
        return self._space.background.salience(similarity, vectors[places])

    def _decide(
        self,
        catalog: LoadedCatalog,
        scene: Scene,
        look: Look,
        labels: NDArray[np.float32],
        seconds: FinderSeconds,
    ) -> Found:
        with _Clock(seconds, "match"):
            sightings = ev.sightings(catalog, scene, labels, self._weights)
        if self._reader is None or not self._text_is_wanted(catalog, look, sightings):
            return Found(sightings, [], scene)
        with _Clock(seconds, "text"):
            lines = self._read(catalog, scene, self._reader)
            scene.text_was_read = True
        with _Clock(seconds, "match"):
            if (scene.allowed & ~catalog.has_photos).any() and not _all_held(scene, lines):
                # What is known by its name alone may be where no photo drew the eye.
                scene.regions.append(Region((0.0, 0.0, float(look.frame.width), float(look.frame.height))))
            for region in scene.regions:
                inside = [line for line in lines if region.holds(line.box, margin=_TEXT_MARGIN)]
                query = query_of(((line.text, line.confidence) for line in inside), self._lexicon)
                region.text = ev.text_evidence(catalog, query, scene.allowed)
            sightings = ev.sightings(catalog, scene, labels, self._weights)
        return Found(sightings, lines, scene)

    def _refine(self, catalog: LoadedCatalog, found: Sequence[Found], seconds: FinderSeconds) -> None:
        """Better boxes for what may be shown, by one more look at all of it together."""
        wanted = [
            (each, place)
            for each in found
            for place, sighting in enumerate(each.sightings[:_MOST_REFINED])
            if (place == 0 or sighting.confidence >= _REFINED_FROM) and catalog.has_photos[sighting.product]
        ]
        if not wanted:
            return
        with _Clock(seconds, "network"):
            around = [surroundings_of(each.scene.frame, each.sightings[place].box) for each, place in wanted]
            maps = self.runtime.features(np.stack([each.pixels for each in around]))
        with _Clock(seconds, "match"):
            for (each, place), part, feature_map in zip(wanted, around, maps, strict=True):
                sighting = each.sightings[place]
                middle = middle_of(part, feature_map, views=catalog.views_of(sighting.product), space=self._space)
                if middle is not None:
                    size = each.scene.frame.size
                    box = refined(sighting.box, middle, sighting.placed, frame_size=size, fit=self.box_fit)
                    each.sightings[place] = replace(sighting, box=box)

    def _text_is_wanted(self, catalog: LoadedCatalog, look: Look, sightings: Sequence[Sighting]) -> bool:
        if look.text != "auto":
            return look.text == "always"
        if (look.allowed & ~catalog.has_photos).any():
            return True
        best = max((sighting.confidence for sighting in sightings), default=0.0)
        return _HOPELESS <= best < _SURE

    def _read(self, catalog: LoadedCatalog, scene: Scene, reader: TextReader) -> list[ReadLine]:
        """Text of the likeliest region, or of the whole frame where products are known by their names alone."""
        whole = bool((scene.allowed & ~catalog.has_photos).any()) or not catalog.with_photos
        if whole or not any(region.prints for region in scene.regions):
            return reader.read(np.asarray(scene.frame), side_px=_FRAME_TEXT_PX)
        cut, corner = crop(scene.frame, scene.regions[0].box, margin=_TEXT_MARGIN)
        lines = reader.read(np.asarray(cut))
        return [ReadLine(line.text, line.confidence, moved(line.box, 1.0, corner)) for line in lines]


def _all_held(scene: Scene, lines: Sequence[ReadLine]) -> bool:
    """Whether every line is in one of the regions."""
    return all(any(region.holds(line.box, margin=_TEXT_MARGIN) for region in scene.regions) for line in lines)


class _Clock:
    """Adds the time of a block to one stage."""

    def __init__(self, seconds: FinderSeconds, stage: str) -> None:
        self._seconds = seconds
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self._started
        setattr(self._seconds, self._stage, getattr(self._seconds, self._stage) + spent)
