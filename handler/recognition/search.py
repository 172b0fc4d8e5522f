"""Where in a frame catalog photos are searched for: around a given place alone, or everywhere.

Everywhere, print is looked for in the whole frame, and windows of one dense pass are compared with the photos; what
stands out is looked at closer. That costs a dozen passes of the network and up to four extractions of local features,
which a thread of their own makes meanwhile: an answer comes a fifth sooner where a core is idle, or a GPU runs the
network, and as soon as before where all cores are busy. Around a place it is one of each, which is all a frame needs
that shows the product of the frame before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from recognition.catalog import LoadedCatalog
from recognition.embedding import crop_vectors
from recognition.finder_seconds import Clock, FinderSeconds
from recognition.prints import Part, PrintMatcher, part_of, whole_of
from recognition.regions import pool, suppress, windows_of
from recognition.reply import BoxXyxyPx
from recognition.runtime import Runtime
from recognition.scene import Region, Scene, choose_regions, grown, printed_box
from recognition.vectors import VectorSpace
from recognition.views import crop, dense_maps

#: Windows of the dense pass that are followed up where print tells nothing.
_WINDOWS = 3
_WINDOW_OVERLAP = 0.3
#: Views of the gallery that each window and each crop is compared with.
_COARSE_VIEWS = 1
_FINE_VIEWS = 24
#: How much around a given place is looked at, as a multiple of its sides: in a second a hand moves by half a product.
_AROUND = 1.5


class PhotoSearch:
    """Searches frames for the photos of whatever catalog it is given. Not thread-safe."""

    def __init__(self, runtime: Runtime, space: VectorSpace) -> None:
        """``space`` is the catalog photos' own."""
        self.runtime = runtime
        self._space = space
        self._beside = ThreadPoolExecutor(1, "local-features")

    def around(self, catalog: LoadedCatalog, scene: Scene, place: BoxXyxyPx, seconds: FinderSeconds) -> None:
        """Make a region of what is in ``place``, a box in the frame in its pixels, or close to it."""
        matcher = PrintMatcher(catalog)
        with Clock(seconds, "print"):
            matcher.look_around(scene, grown(place, _AROUND, scene.frame.size))
        box = printed_box(scene) or place
        scene.regions = [Region(box, [box])]
        self._compare(catalog, [scene], seconds)
        for region in scene.regions:
            matcher.take_over(scene, region)

    def everywhere(self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: FinderSeconds) -> None:
        """Make regions of what stands out in the whole frames."""
        with self._tasks() as tasks:
            self._everywhere(catalog, scenes, seconds, tasks)

    def _everywhere(
        self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: FinderSeconds, tasks: list[Future[Part]]
    ) -> None:
        matcher = PrintMatcher(catalog)
        tasks += [self._beside.submit(whole_of, scene.frame) for scene in scenes]
        with Clock(seconds, "network"):
            maps = dense_maps(self.runtime, [scene.frame for scene in scenes])
        for scene, feature_map, whole in zip(scenes, maps, tuple(tasks), strict=True):
            with Clock(seconds, "match"):
                windows, photos = self._windows(catalog, scene, feature_map)
            with Clock(seconds, "print"):
                matcher.look_at_frame(scene, whole.result(), photos)
            scene.regions = choose_regions(scene, windows)
        closer: list[tuple[Scene, Region, Future[Part] | None]] = []
        for scene in scenes:
            for region in scene.regions:
                part = None
                if matcher.calls_for_a_closer_look(scene, region):
                    part = self._beside.submit(part_of, scene.frame, region.box)
                    tasks.append(part)
                closer.append((scene, region, part))
        self._compare(catalog, scenes, seconds)
        with Clock(seconds, "print"):
            for scene, region, part in closer:
                matcher.look_at_region(scene, region, part)

    @contextmanager
    def _tasks(self) -> Iterator[list[Future[Part]]]:
        """Tasks of one batch; those that wait when it ends, as it failed, are not begun: the next one's would wait."""
        tasks: list[Future[Part]] = []
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()

    def _compare(self, catalog: LoadedCatalog, scenes: Sequence[Scene], seconds: FinderSeconds) -> None:
        """Compare the crops of all regions with the photos."""
        crops = [(scene, region, box) for scene in scenes for region in scene.regions for box in region.crops]
        with Clock(seconds, "network"):
            vectors = crop_vectors(self.runtime, self._space, [crop(scene.frame, box)[0] for scene, _, box in crops])
        with Clock(seconds, "match"):
            for scene in scenes:
                rows = [row for row, (owner, _, _) in enumerate(crops) if owner is scene]
                # All crops of a frame in one call: the candidates of one are read from the snapshot once.
                scores, views = catalog.photo_index.search(
                    vectors[rows], count=_FINE_VIEWS, allowed=scene.allowed, effort="fine"
                )
                for row, *nearest in zip(rows, scores, views, strict=True):
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
