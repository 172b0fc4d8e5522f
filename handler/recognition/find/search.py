"""Searches frames for catalog photos: around a given place alone, or everywhere.

Everywhere, windows of one dense pass are compared with the photos. Where some stand out, so are keypoints of the whole
frame, and what was found is looked at closer. That costs up to seven passes of the network and up to four extractions
of local features; those of regions are made in a thread of their own beside the network. Around a place it is one of
each, which is all a frame needs that shows the product of the frame before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxyPx, mirrored
from recognition.catalog.loaded import LoadedCatalog
from recognition.find.match import KeypointMatcher, Part, part_of, whole_of
from recognition.find.profiles import Profile
from recognition.find.scene import Region, Scene, choose_regions, grown, matched_box
from recognition.find.views import crop, dense_maps, pool, suppress, windows_of
from recognition.index.vectors import Background, VectorSpace, crop_vectors
from recognition.network.runtime import Runtime

#: Of two windows that overlap by more (IoU) the one that stands out more is followed up.
_WINDOW_OVERLAP = 0.3
#: Views of the gallery that each window and each crop is compared with.
_COARSE_VIEWS = 1
_FINE_VIEWS = 24
#: How much around a given place is looked at, as a multiple of its sides: in a second a hand moves by half a product.
_ROI_SHARE = 1.5


@dataclass
class StageSeconds:
    """Wall time of a batch by stage; ``network`` is 0.0 where no image of the batch could be decoded.

    ``network`` is the classifier, the dense pass and crops; ``keypoints`` as far as they are waited for; ``match`` all
    that is left.
    """

    decode: float = 0.0
    network: float = 0.0
    keypoints: float = 0.0
    text: float = 0.0
    match: float = 0.0

    def add(self, other: StageSeconds) -> None:
        for stage in fields(self):
            setattr(self, stage.name, getattr(self, stage.name) + getattr(other, stage.name))

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time of a ``with`` block to one stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - started)


class PhotoSearch:
    """Searches frames for the photos of whatever catalog it is given. Not thread-safe."""

    def __init__(self, runtime: Runtime, space: VectorSpace, profile: Profile) -> None:
        """``space`` is the catalog photos' own."""
        self.runtime = runtime
        self._space = space
        self._profile = profile
        self._beside = ThreadPoolExecutor(1, "local-features")

    def in_roi(self, catalog: LoadedCatalog, scene: Scene, place: BoxXyxyPx, seconds: StageSeconds) -> None:
        """Make a region of what is in ``place``, a box in the frame in its pixels, or close to it."""
        matcher = KeypointMatcher(catalog)
        with seconds.measure("keypoints"):
            matcher.look_in_roi(scene, grown(place, _ROI_SHARE, scene.frame.size))
        box = matched_box(scene) or place
        scene.regions = [Region(box, [box])]
        self._compare(catalog, [scene], seconds)
        for region in scene.regions:
            matcher.assign(scene, region)

    def everywhere(self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: StageSeconds) -> None:
        """Make regions of what stands out in the whole frames."""
        with self._tasks() as tasks:
            self._everywhere(catalog, scenes, seconds, tasks)

    def _everywhere(
        self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: StageSeconds, tasks: list[Future[Part]]
    ) -> None:
        matcher = KeypointMatcher(catalog)
        with seconds.measure("network"):
            maps = dense_maps(self.runtime, [scene.frame for scene in scenes])
        with seconds.measure("match"):
            found = [self._windows(catalog, scene, each) for scene, each in zip(scenes, maps, strict=True)]
        standing_out = [(scene, *each) for scene, each in zip(scenes, found, strict=True) if each[0]]
        tasks += [self._beside.submit(whole_of, scene.frame) for scene, _, _ in standing_out]
        for (scene, windows, photos), whole in zip(standing_out, tuple(tasks), strict=True):
            with seconds.measure("keypoints"):
                matcher.match_frame(scene, whole.result(), photos)
                is_turned = matcher.turn(scene, [(whole.result(), photos)])
            width = scene.frame.width
            scene.regions = choose_regions(scene, [mirrored(box, width) for box in windows] if is_turned else windows)
        closer: list[tuple[Scene, Region, Future[Part] | None]] = []
        for scene in scenes:
            for region in scene.regions:
                part = None
                if matcher.needs_closer_look(scene, region):
                    part = self._beside.submit(part_of, scene.frame, region.box)
                    tasks.append(part)
                closer.append((scene, region, part))
        self._compare(catalog, scenes, seconds)
        with seconds.measure("keypoints"):
            for scene, region, part in closer:
                matcher.match_region(scene, region, part)
            for scene in scenes:
                looked = [(region, part) for owner, region, part in closer if owner is scene and part is not None]
                parts = [(part.result(), region.views) for region, part in looked if not part.cancelled()]
                if matcher.turn(scene, parts):
                    for region in scene.regions:
                        matcher.assign(scene, region)

    @contextmanager
    def _tasks(self) -> Iterator[list[Future[Part]]]:
        """Tasks of one batch; those that wait when it ends, as it failed, are not begun: the next one's would wait."""
        tasks: list[Future[Part]] = []
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()

    def _compare(self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: StageSeconds) -> None:
        """Compare the crops of all regions with the photos."""
        crops = [(scene, region, box) for scene in scenes for region in scene.regions for box in region.crops]
        if not crops:
            return
        with seconds.measure("network"):
            vectors = crop_vectors(self.runtime, self._space, [crop(scene.frame, box)[0] for scene, _, box in crops])
        with seconds.measure("match"):
            for scene in scenes:
                rows = [row for row, (owner, _, _) in enumerate(crops) if owner is scene]
                # All crops of a frame in one call: the candidates of one are read from the snapshot once.
                scores, views = catalog.photo_index.search(
                    vectors[rows], count=_FINE_VIEWS, allowed=scene.allowed, effort="fine"
                )
                saliences = self._salience(self._space.crops, catalog, scores, views)
                for row, *nearest in zip(rows, views, scores, saliences, strict=True):
                    _, region, box = crops[row]
                    region.take_views(catalog, box, *nearest)

    def _windows(
        self, catalog: LoadedCatalog, scene: Scene, feature_map: NDArray[np.float32]
    ) -> tuple[list[BoxXyxyPx], list[int]]:
        """Boxes of the windows that stand out most by their likeness to a photo, and those photos, best first."""
        windows = windows_of(*feature_map.shape[1:])
        scores, views = catalog.photo_index.search(
            self._space.vectors(pool(feature_map, windows)), count=_COARSE_VIEWS, allowed=scene.allowed, effort="coarse"
        )
        background = self._space.windows
        best = self._salience(background, catalog, scores, views)[:, 0]
        least = -np.inf if background is None else self._profile.window_salience
        cell = np.array([scene.frame.width / feature_map.shape[2], scene.frame.height / feature_map.shape[1]] * 2)
        kept = suppress(windows.cells, best, count=self._profile.windows, overlap=_WINDOW_OVERLAP)
        standing_out = [windows.cells[index] * cell for index in kept if best[index] >= least]
        boxes: list[BoxXyxyPx] = [tuple(float(side) for side in box) for box in standing_out]  # type: ignore[misc]
        order = np.argsort(-best, kind="stable")
        photos = catalog.snapshot.view_photo[views[order, 0][np.isfinite(best[order])]]
        return boxes, list(dict.fromkeys(int(photo) for photo in photos))

    def _salience(
        self,
        background: Background | None,
        catalog: LoadedCatalog,
        similarity: NDArray[np.float32],
        views: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Salience (Q, n) of similarities (Q, n) to ``views``; the similarity itself where no background was fitted."""
        if background is None:
            return similarity
        unique, places = np.unique(np.maximum(views, 0), return_inverse=True)
        vectors = catalog.snapshot.view_vectors[unique].astype(np.float32)
        mean, spread = background.moments(vectors)
        result: NDArray[np.float32] = (similarity - mean[places]) / spread[places]
        return result
