"""Which products of a catalog a frame shows, and where: dense pass, crops, print, text, and one confidence."""

from __future__ import annotations

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
from recognition.finder_seconds import Clock, FinderSeconds
from recognition.reply import BoxXyxyPx
from recognition.request import TextMode
from recognition.runtime import Runtime
from recognition.scene import Region, Scene, Sighting, grown, moved
from recognition.search import PhotoSearch
from recognition.text.documents import query_of
from recognition.text.lexicon import load_lexicon
from recognition.text.ocr import ReadLine, TextReader
from recognition.vectors import PLAIN, VectorSpace
from recognition.views import crop

#: With this confidence in what is where the request said to look the rest of the frame is not searched; with the second
#: one by photos alone its text is read to see whether it comes to that.
_FOUND_IN_FOCUS = 0.95
_LIKELY_IN_FOCUS = 0.5
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
#: Nor in a place to look at first that is narrower.
_LEAST_FOCUS_PX = 4.0
#: Side for text in a whole frame, where nothing says which part to enlarge.
_FRAME_TEXT_PX = 960


@dataclass(frozen=True)
class Look:
    """A frame (RGB), which of the P products may be in it, and how to treat text.

    ``label_probabilities`` (C,) are the classifier's for the frame. ``focus``: where to look first, in pixels of it.
    """

    frame: Image.Image
    allowed: NDArray[np.bool_]
    text: TextMode
    label_probabilities: NDArray[np.float32]
    focus: BoxXyxyPx | None = None


@dataclass
class Found:
    """Sightings best first; boxes in pixels of the frame. ``scene`` is what they were concluded from."""

    sightings: list[Sighting]
    lines: list[ReadLine]
    scene: Scene


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
        self._search = PhotoSearch(runtime, space)
        self._reader = reader
        self._weights = weights
        self._space = space
        self.box_fit = box_fit
        self._lexicon = load_lexicon()

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        return self._search.runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._search.runtime = runtime

    def get_ready(self) -> None:
        """Load what the first frame would else wait for."""
        if self._reader is not None:
            self._reader.get_ready()

    def find(self, catalog: LoadedCatalog, looks: Sequence[Look]) -> FinderResult:
        """Look at all frames together, each for itself."""
        result = FinderResult()
        scenes = [Scene(look.frame, look.allowed) for look in looks]
        labels = [ev.label_evidence(catalog, look.label_probabilities) for look in looks]
        if catalog.with_photos:
            result.found = [
                self._find_in_focus(catalog, *each, result.seconds) for each in zip(scenes, looks, labels, strict=True)
            ]
            rest = [
                scene
                for scene, found in zip(scenes, result.found, strict=True)
                if found is None and min(scene.frame.size) >= _LEAST_SIDE_PX
            ]
            if rest:
                self._search.everywhere(catalog, rest, result.seconds)
        result.found = result.found or [None] * len(looks)
        for place, (scene, look) in enumerate(zip(scenes, looks, strict=True)):
            if not scene.regions:
                scene.regions = [Region((0.0, 0.0, float(look.frame.width), float(look.frame.height)))]
            if result.found[place] is None:
                result.found[place] = self._decide(catalog, scene, look, labels[place], result.seconds)
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

    def _find_in_focus(
        self,
        catalog: LoadedCatalog,
        scene: Scene,
        look: Look,
        labels: NDArray[np.float32],
        seconds: FinderSeconds,
    ) -> Found | None:
        """What is surely where the request said; None, and the scene as it was, where that is nothing."""
        focus = _focus_of(look)
        if focus is None or min(look.frame.size) < _LEAST_SIDE_PX:
            return None
        self._search.around(catalog, scene, focus, seconds)
        with Clock(seconds, "match"):
            sightings = ev.sightings(catalog, scene, labels, self._weights)
        best = sightings[0].confidence if sightings else 0.0
        if best >= _FOUND_IN_FOCUS:
            return self._decide(catalog, scene, look, labels, seconds)
        if best >= _LIKELY_IN_FOCUS and self._reads_in_focus(catalog, scene, look):
            found = self._decide(catalog, scene, look, labels, seconds)
            if found.sightings and found.sightings[0].confidence >= _FOUND_IN_FOCUS:
                return found
        scene.matches, scene.regions, scene.text_was_read = [], [], False
        return None

    def _reads_in_focus(self, catalog: LoadedCatalog, scene: Scene, look: Look) -> bool:
        """Whether text would be read there alone: the whole frame's is the same when all of it is searched."""
        may_read = self._reader is not None and look.text != "never"
        return may_read and not _has_names_alone(catalog, scene) and any(region.prints for region in scene.regions)

    def _decide(
        self,
        catalog: LoadedCatalog,
        scene: Scene,
        look: Look,
        labels: NDArray[np.float32],
        seconds: FinderSeconds,
    ) -> Found:
        with Clock(seconds, "match"):
            sightings = ev.sightings(catalog, scene, labels, self._weights)
        if self._reader is None or not self._text_is_wanted(catalog, scene, look, sightings):
            return Found(sightings, [], scene)
        with Clock(seconds, "text"):
            lines = self._read(catalog, scene, self._reader)
            scene.text_was_read = True
        with Clock(seconds, "match"):
            if _has_names_alone(catalog, scene) and not _all_held(scene, lines):
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
        with Clock(seconds, "network"):
            around = [surroundings_of(each.scene.frame, each.sightings[place].box) for each, place in wanted]
            maps = self.runtime.features(np.stack([each.pixels for each in around]))
        with Clock(seconds, "match"):
            for (each, place), part, feature_map in zip(wanted, around, maps, strict=True):
                sighting = each.sightings[place]
                middle = middle_of(part, feature_map, views=catalog.views_of(sighting.product), space=self._space)
                if middle is not None:
                    size = each.scene.frame.size
                    box = refined(sighting.box, middle, sighting.placed, frame_size=size, fit=self.box_fit)
                    each.sightings[place] = replace(sighting, box=box)

    def _text_is_wanted(self, catalog: LoadedCatalog, scene: Scene, look: Look, sightings: Sequence[Sighting]) -> bool:
        if look.text != "auto":
            return look.text == "always"
        if _has_names_alone(catalog, scene):
            return True
        best = max((sighting.confidence for sighting in sightings), default=0.0)
        return _HOPELESS <= best < _SURE

    def _read(self, catalog: LoadedCatalog, scene: Scene, reader: TextReader) -> list[ReadLine]:
        """Text of the likeliest region, or of the whole frame where products are known by their names alone."""
        whole = _has_names_alone(catalog, scene) or not catalog.with_photos
        if whole or not any(region.prints for region in scene.regions):
            return reader.read(np.asarray(scene.frame), side_px=_FRAME_TEXT_PX)
        cut, corner = crop(scene.frame, scene.regions[0].box, margin=_TEXT_MARGIN)
        lines = reader.read(np.asarray(cut))
        return [ReadLine(line.text, line.confidence, moved(line.box, 1.0, corner)) for line in lines]


def _focus_of(look: Look) -> BoxXyxyPx | None:
    """What of the focus lies in the frame; None where that is next to nothing."""
    if look.focus is None:
        return None
    box = grown(look.focus, 1.0, look.frame.size)
    return box if min(box[2] - box[0], box[3] - box[1]) >= _LEAST_FOCUS_PX else None


def _has_names_alone(catalog: LoadedCatalog, scene: Scene) -> bool:
    """Whether a product that may be in the frame is known by its name and no photo."""
    return bool((scene.allowed & ~catalog.has_photos).any())


def _all_held(scene: Scene, lines: Sequence[ReadLine]) -> bool:
    """Whether every line is in one of the regions."""
    return all(any(region.holds(line.box, margin=_TEXT_MARGIN) for region in scene.regions) for line in lines)
