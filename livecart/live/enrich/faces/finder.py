"""Looks for faces in a thread of its own, so that the event loop never waits: bounded, and forgiving.

What goes wrong is logged and counted, and the next picture is tried all the same; where the detector itself cannot be
loaded, that is tried again after a minute.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numpy as np

from livecart.core.errors import SettingsError
from livecart.core.types import Picture
from livecart.live.enrich.faces.centerface import Face
from livecart.live.enrich.faces.detector import FaceDetector, FacesSettings, find_weights, open_detector
from livecart.live.metrics import LiveMetrics
from livecart.live.video.picture import ArrayPicture

_log = logging.getLogger(__name__)

_LOAD_AGAIN_S = 60.0
_USUAL_SIZES_PX = ((1280, 720), (720, 1280))
P = ParamSpec("P")
T = TypeVar("T")


class FaceFinder:
    """One thread that finds faces, and does what else is to be done with the picture afterwards.

    Args:
        settings: which detector.
        metrics: count how long searches take.
        load: makes the detector; runs in the thread.
        most_waiting: searches that may wait for the thread; more are refused.
    """

    def __init__(
        self,
        settings: FacesSettings,
        metrics: LiveMetrics,
        *,
        load: Callable[[FacesSettings], FaceDetector] = open_detector,
        most_waiting: int = 16,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._load = load
        self._most_waiting = most_waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="livecart-faces")
        self._waiting = 0
        self._closed = False
        self._detector: FaceDetector | None = None
        self._load_again_at_s = 0.0
        self._why_not = ""

    async def start(self) -> None:
        """Load the detector ahead of the first picture.

        Raises:
            SettingsError: it cannot be loaded; it is tried again all the same.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._warm_up)

    def start_later(self) -> None:
        """Load the detector in the background; the first search raises what went wrong."""
        future = self.run(self._warm_up)
        if future is not None:
            future.add_done_callback(lambda result: result.cancelled() or result.exception())

    def search(self, picture: Picture) -> asyncio.Future[tuple[Face, ...]] | None:
        """Look for faces; None: too many pictures wait already. The future may have any exception."""
        return self.run(self._search, picture)

    def run(self, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T] | None:
        """Do something in the thread, after what waits there; None: too much does already, or the finder is closed."""
        if self._closed or self._waiting >= self._most_waiting:
            return None
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, lambda: what(*args, **kwargs))
        future.add_done_callback(self._done)
        return future

    async def close(self) -> None:
        """End the thread; what waits is dropped, what runs ends first: a matter of milliseconds."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        # Some 130 MiB, whoever still holds this.
        self._detector = None

    def _done(self, _future: asyncio.Future[T]) -> None:
        self._waiting -= 1

    def _warm_up(self) -> None:
        # The first picture of a size takes ten times as long: an event would not wait for it.
        for width_px, height_px in _USUAL_SIZES_PX:
            self._loaded().detect(ArrayPicture(np.zeros((height_px, width_px, 3), np.uint8)))

    def _search(self, picture: Picture) -> tuple[Face, ...]:
        detector = self._loaded()
        began_s = time.perf_counter()
        faces = detector.detect(picture)
        self._metrics.stage("faces", time.perf_counter() - began_s)
        return faces

    def _loaded(self) -> FaceDetector:
        if self._detector is None:
            if time.monotonic() < self._load_again_at_s:
                raise SettingsError(self._why_not)
            try:
                self._detector = self._load(self._settings)
            except Exception as error:
                self._load_again_at_s = time.monotonic() + _LOAD_AGAIN_S
                self._why_not = str(error)
                raise
        return self._detector


async def open_finder(settings: FacesSettings, metrics: LiveMetrics) -> FaceFinder | None:
    """The finder that the settings ask for; None: none, and the log says why.

    With "required" the detector is loaded before this returns, else in the background.

    Raises:
        SettingsError: it is required, and is not installed or cannot be loaded.
    """
    if settings.enabled == "never":
        return None
    try:
        find_weights(settings)
    except SettingsError as error:
        if settings.enabled == "required":
            raise
        _log.warning("cards go out without knowing of faces, and no crops are kept: %s", error)
        return None
    finder = FaceFinder(settings, metrics)
    if settings.enabled == "required":
        try:
            await finder.start()
        except Exception:
            await finder.close()
            raise
    else:
        finder.start_later()
    return finder
