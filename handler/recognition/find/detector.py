"""Detects the products of a catalog in frames: photo search, text, one confidence for each, refined boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx, mirrored
from recognition.catalog.loaded import LoadedCatalog
from recognition.find import evidence as ev
from recognition.find.boxes import BoxCorrection, middle_of, refined, surroundings_of
from recognition.find.fusion import Weights
from recognition.find.profiles import PROFILES, Profile
from recognition.find.scene import FrameDetection, Region, Scene, grown, moved
from recognition.find.search import PhotoSearch, StageSeconds
from recognition.find.views import crop
from recognition.index.vectors import PLAIN, VectorSpace
from recognition.network.runtime import Runtime
from recognition.request.forms import TextMode
from recognition.text.lexicon import load_lexicon
from recognition.text.ocr import ReadLine, TextReader
from recognition.text.overlay import printed

#: With this confidence in a product in the roi the rest of the frame is not searched; with the second one by photos
#: alone text in the roi is read, which may lift it to the first.
_FOUND_IN_ROI = 0.95
_LIKELY_IN_ROI = 0.5
#: With this confidence text is not read: it could no longer change what is shown. Nor where the likeliest product is
#: hardly likely (``Profile.text_from``): a frame of nothing would otherwise be read for nothing. Up to the former words
#: may contradict a near-duplicate product: with 0.985 10 of 50 groceries that the catalog lacks popped up another, with
#: this 5.
_SURE = 0.9975
#: Text may stand a little outside of the box that was found.
_TEXT_MARGIN = 0.25
#: Detections of a frame whose boxes are refined: the best of those that are shown.
_MOST_REFINED = 3
#: Smaller pictures are not searched: probes of the archive's health and catalog send them, and do not pay for a search.
_LEAST_SIDE_PX = 24
#: Nor is a roi that is narrower.
_LEAST_ROI_PX = 4.0
#: Side for text in a whole frame, where nothing says which part to enlarge.
_FRAME_TEXT_PX = 960
#: Text counts as read from so much evidence on.
_TEXT_TELLS = 0.5


@dataclass(frozen=True)
class FrameQuery:
    """A frame (RGB), which of the P products may be in it, and how to treat text.

    ``shown_from`` (P,): the confidence from which each product is shown. ``label_probabilities`` (C,) are the
    classifier's for the frame. ``roi``: searched first, in pixels of the frame. ``mirror``: the frame is left for
    right; None: found out by keypoints.
    """

    frame: Image.Image
    allowed: NDArray[np.bool_]
    text: TextMode
    label_probabilities: NDArray[np.float32]
    shown_from: NDArray[np.float64]
    roi: BoxXyxyPx | None = None
    mirror: bool | None = None


@dataclass
class FrameResult:
    """Detections best first, boxes in pixels of the frame, and the ``scene`` that they were concluded from.

    ``mirrored``: keypoints of the best detection match left for right; None where none decided it.
    """

    detections: list[FrameDetection]
    lines: list[ReadLine]
    scene: Scene
    mirrored: bool | None = None


@dataclass
class DetectorResult:
    """``frames[i]`` belongs to ``queries[i]``; None where it failed."""

    frames: list[FrameResult | None] = field(default_factory=list)
    seconds: StageSeconds = field(default_factory=StageSeconds)


class Detector:
    """Detects the products of the catalog that it is given. Not thread-safe."""

    def __init__(
        self,
        runtime: Runtime,
        reader: TextReader | None,
        weights: Weights,
        space: VectorSpace = PLAIN,
        box_fit: BoxCorrection | None = None,
        *,
        profile: Profile = PROFILES["balanced"],
    ) -> None:
        """Without a ``reader`` no text is ever read; ``space`` is the catalog photos' own."""
        self._search = PhotoSearch(runtime, space, profile)
        self._reader = reader
        self._weights = weights
        self._profile = profile
        self._space = space
        self.box_fit = box_fit
        self._lexicon = load_lexicon()

    @property
    def runtime(self) -> Runtime:
        return self._search.runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._search.runtime = runtime

    def get_ready(self) -> None:
        """Load what the first frame would else wait for."""
        if self._reader is not None:
            self._reader.get_ready()

    def find(self, catalog: LoadedCatalog, queries: Sequence[FrameQuery]) -> DetectorResult:
        """Search all frames together; each gets its own result."""
        result = DetectorResult()
        queries = [_turned(query) if query.mirror else query for query in queries]
        scenes = [
            Scene(query.frame, query.allowed, mirrored=bool(query.mirror), may_mirror=query.mirror is None)
            for query in queries
        ]
        labels = [ev.label_evidence(catalog, query.label_probabilities) for query in queries]
        if catalog.with_photos:
            result.frames = [
                self._find_in_roi(catalog, *each, result.seconds) for each in zip(scenes, queries, labels, strict=True)
            ]
            rest = [
                scene
                for scene, found in zip(scenes, result.frames, strict=True)
                if found is None and min(scene.frame.size) >= _LEAST_SIDE_PX
            ]
            if rest:
                self._search.everywhere(catalog, rest, result.seconds)
            for scene in rest:
                if not scene.regions:
                    scene.matches, scene.regions = scene.of_roi
        result.frames = result.frames or [None] * len(queries)
        for place, (scene, query) in enumerate(zip(scenes, queries, strict=True)):
            if not scene.regions:
                scene.regions = [Region((0.0, 0.0, float(query.frame.width), float(query.frame.height)))]
            if result.frames[place] is None:
                result.frames[place] = self._decide(catalog, scene, query, labels[place], result.seconds)
        found = [(each, query) for each, query in zip(result.frames, queries, strict=True) if each is not None]
        self._refine(catalog, found, result.seconds)
        for each, _ in found:
            _tell_mirrored(each)
        return result

    def scene_of(self, catalog: LoadedCatalog, query: FrameQuery) -> Scene:
        """Evidence found in one frame, before it is weighed.

        Raises:
            RuntimeError: looking failed; the cause is chained.
        """
        [found] = self.find(catalog, [query]).frames
        if found is None:
            raise RuntimeError("the frame could not be looked at")
        return found.scene

    def _find_in_roi(
        self,
        catalog: LoadedCatalog,
        scene: Scene,
        query: FrameQuery,
        labels: NDArray[np.float32],
        seconds: StageSeconds,
    ) -> FrameResult | None:
        """The result where the roi surely shows a product; None, and the scene as it was, elsewhere."""
        roi = _roi_of(query)
        if roi is None or min(query.frame.size) < _LEAST_SIDE_PX:
            return None
        self._search.in_roi(catalog, scene, roi, seconds)
        with seconds.measure("match"):
            detections = ev.detections(catalog, scene, labels, self._weights)
        best = detections[0].confidence if detections else 0.0
        if best >= _FOUND_IN_ROI:
            return self._decide(catalog, scene, query, labels, seconds)
        if best >= _LIKELY_IN_ROI and self._reads_in_roi(catalog, scene, query):
            found = self._decide(catalog, scene, query, labels, seconds)
            if found.detections and found.detections[0].confidence >= _FOUND_IN_ROI:
                return found
        scene.of_roi = scene.matches, scene.regions
        scene.matches, scene.regions, scene.text_was_read = [], [], False
        return None

    def _reads_in_roi(self, catalog: LoadedCatalog, scene: Scene, query: FrameQuery) -> bool:
        """Text would be read there alone: the whole frame's is the same when all of it is searched."""
        may_read = self._reader is not None and query.text != "never"
        return may_read and not _has_names_alone(catalog, scene) and any(region.matches for region in scene.regions)

    def _decide(
        self,
        catalog: LoadedCatalog,
        scene: Scene,
        query: FrameQuery,
        labels: NDArray[np.float32],
        seconds: StageSeconds,
    ) -> FrameResult:
        with seconds.measure("match"):
            detections = ev.detections(catalog, scene, labels, self._weights)
        if self._reader is None or not self._text_is_wanted(catalog, scene, query, detections):
            return FrameResult(detections, [], scene)
        with seconds.measure("text"):
            lines = self._read(catalog, scene, self._reader)
            scene.text_was_read = True
        with seconds.measure("match"):
            on_things = printed(scene.pixels, lines)
            if _has_names_alone(catalog, scene) and not _all_held(scene, on_things):
                # What is known by its name alone may be where no photo drew the eye.
                scene.regions.append(Region((0.0, 0.0, float(query.frame.width), float(query.frame.height))))
            for region in scene.regions:
                region.lines = [line for line in on_things if region.holds(line.box, margin=_TEXT_MARGIN)]
                ev.take_text(catalog, region, scene.allowed, self._lexicon)
            detections = ev.detections(catalog, scene, labels, self._weights)
        return FrameResult(detections, lines, scene)

    def _refine(
        self, catalog: LoadedCatalog, found: Sequence[tuple[FrameResult, FrameQuery]], seconds: StageSeconds
    ) -> None:
        """Better boxes for detections that are shown, by one more pass over all of them together."""
        wanted = [
            (each, place)
            for each, query in found
            for place, detection in enumerate(each.detections[:_MOST_REFINED])
            if detection.confidence >= query.shown_from[detection.product] and catalog.has_photos[detection.product]
        ]
        if not wanted:
            return
        with seconds.measure("network"):
            around = [surroundings_of(each.scene.frame, each.detections[place].box) for each, place in wanted]
            maps = self.runtime.features(np.stack([each.pixels for each in around]))
        with seconds.measure("match"):
            for (each, place), part, feature_map in zip(wanted, around, maps, strict=True):
                detection = each.detections[place]
                middle = middle_of(part, feature_map, views=catalog.views_of(detection.product), space=self._space)
                if middle is not None:
                    size = each.scene.frame.size
                    box = refined(detection.box, middle, detection.placed, frame_size=size, fit=self.box_fit)
                    each.detections[place] = replace(detection, box=box)

    def _text_is_wanted(
        self, catalog: LoadedCatalog, scene: Scene, query: FrameQuery, detections: Sequence[FrameDetection]
    ) -> bool:
        if query.text != "auto":
            return query.text == "always"
        if _has_names_alone(catalog, scene):
            return True
        best = max((detection.confidence for detection in detections), default=0.0)
        return self._profile.text_from <= best < _SURE

    def _read(self, catalog: LoadedCatalog, scene: Scene, reader: TextReader) -> list[ReadLine]:
        """Text of the likeliest region, or of the whole frame where products are known by their names alone."""
        whole = _has_names_alone(catalog, scene) or not catalog.with_photos
        if whole or not any(region.matches for region in scene.regions):
            return reader.read(np.asarray(scene.frame), side_px=_FRAME_TEXT_PX)
        cut, corner = crop(scene.frame, scene.regions[0].box, margin=_TEXT_MARGIN)
        lines = reader.read(np.asarray(cut))
        return [replace(line, box=moved(line.box, 1.0, corner)) for line in lines]


def _turned(query: FrameQuery) -> FrameQuery:
    """The query left for right."""
    roi = None if query.roi is None else mirrored(query.roi, query.frame.width)
    return replace(query, frame=query.frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT), roi=roi)


def _tell_mirrored(found: FrameResult) -> None:
    """Say whether the frame is mirrored, and put boxes where they are in the frame as it came."""
    best = found.detections[0] if found.detections else None
    if best is not None and (best.placed is not None or (best.evidence.text or 0.0) >= _TEXT_TELLS):
        found.mirrored = found.scene.mirrored
    if found.scene.mirrored:
        width = found.scene.frame.width
        found.detections = [replace(each, box=mirrored(each.box, width)) for each in found.detections]
        found.lines = [replace(line, box=mirrored(line.box, width)) for line in found.lines]


def _roi_of(query: FrameQuery) -> BoxXyxyPx | None:
    """The part of the roi in the frame; None where that is next to nothing."""
    if query.roi is None:
        return None
    box = grown(query.roi, 1.0, query.frame.size)
    return box if min(box[2] - box[0], box[3] - box[1]) >= _LEAST_ROI_PX else None


def _has_names_alone(catalog: LoadedCatalog, scene: Scene) -> bool:
    """A product that may be in the frame is known by its name and no photo."""
    return bool((scene.allowed & ~catalog.has_photos).any())


def _all_held(scene: Scene, lines: Sequence[ReadLine]) -> bool:
    return all(any(region.holds(line.box, margin=_TEXT_MARGIN) for region in scene.regions) for line in lines)
