"""Recognition: a batch of requests in, a reply or an error for each out."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from contract.offers import Offers
from contract.reply import SCHEMA, ImageInfo, ModelInfo, Reply
from recognition.catalog.embedding import fingerprint
from recognition.catalog.loaded import LoadedCatalog, open_catalog
from recognition.classify.labels import LabelMatcher, LabelSet, load_labels, softmax
from recognition.classify.product_links import load_links
from recognition.errors import ConfigurationError, InternalError, RecognitionError
from recognition.find.boxes import BoxCorrection, load_box_fit
from recognition.find.detector import Detector
from recognition.find.fusion import load_calibration
from recognition.find.profiles import PROFILES
from recognition.find.replies import FAILED, BatchResult, Item, Served, detect_all, queries_of, replies_of
from recognition.find.scene import Scene
from recognition.index.vectors import space_of
from recognition.network.artifact import LABELS_FILE, LINKS_FILE, BackboneInfo, read_info
from recognition.network.runtime import Runtime, open_runtime
from recognition.request import images
from recognition.request.forms import Options, Request
from recognition.settings import Settings
from recognition.text.ocr import TextReader

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Short side that a frame keeps at least where products are looked for in it: the text of a product that fills a fifth
#: of it can then still be read.
_FRAME_SHORT_PX = 720


class Recognizer:
    """Everything of an archive that answers requests. Not thread-safe: the runtime holds one request's buffers."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        info: BackboneInfo,
        settings: Settings,
        labels: LabelSet,
        matcher: LabelMatcher,
        runtime: Runtime,
        detector: Detector | None = None,
    ) -> None:
        """Without a ``detector`` the catalog is the links that ``matcher`` knows, and no other can be taken over."""
        self.settings = settings
        self.labels = labels
        self.runtime = runtime
        self._info = info
        self._name = name
        self._version = version
        self._detector = detector
        self._links = matcher
        #: Replaced as one, so that a batch sees the old catalog or the new one and never both.
        self._taking_over = threading.Lock()
        self._served = Served(None, matcher, ModelInfo(name=name, version=version, backbone=info.name, catalog=None))

    @classmethod
    def from_folder(
        cls, folder: Path, settings: Settings, *, name: str, version: str, gpu_id: int | None = None
    ) -> Recognizer:
        """Load an unpacked archive.

        Raises:
            ConfigurationError: a file of it is missing, wrong or does not fit the others.
        """
        # NumPy's linear algebra takes every core of the machine unless told otherwise; the other workers have those.
        threadpool_limits(settings.runtime.thread_count())
        info = read_info(folder)
        labels = load_labels(folder / LABELS_FILE, num_classes=info.num_classes)
        products = load_links(folder / LINKS_FILE, allowed_hosts=settings.allowed_hosts)
        return cls(
            name=name,
            version=version,
            info=info,
            settings=settings,
            labels=labels,
            matcher=LabelMatcher(labels, products, settings.thresholds),
            runtime=(runtime := open_runtime(folder, info, settings.runtime, gpu_id=gpu_id)),
            detector=Detector(
                runtime,
                # One more: while text is read, the thread beside the network (search.py) has done its part.
                TextReader(threads=runtime.threads + 1),
                load_calibration(info.name).weights,
                space_of(info),
                load_box_fit(info.name),
                profile=PROFILES[settings.profile],
            ),
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(self._info)

    @property
    def matcher(self) -> LabelMatcher:
        return self._served.matcher

    @property
    def catalog(self) -> LoadedCatalog | None:
        """Of the next batch; None: the archive's links alone."""
        return self._served.catalog

    def use_runtime(self, runtime: Runtime) -> None:
        """Run the network by ``runtime`` from now on: a benchmark's, which times each pass."""
        self.runtime = runtime
        if self._detector is not None:
            self._detector.runtime = runtime

    def use_box_fit(self, fit: BoxCorrection) -> None:
        """Correct boxes by ``fit`` from now on: one that is tried, or only watches."""
        if self._detector is not None:
            self._detector.box_fit = fit

    def open_catalog(self, path: Path) -> LoadedCatalog:
        """Open a snapshot that this recogniser can take over. May run beside ``recognize``.

        Raises:
            SnapshotError: it cannot be used, and why.
        """
        return open_catalog(
            path, fingerprint=self.fingerprint, labels=self.labels, allowed_hosts=self.settings.allowed_hosts
        )

    def use_catalog(self, catalog: LoadedCatalog) -> None:
        """Match against ``catalog`` from the next batch on; one without products leaves the archive's own links.

        May be called in another thread than ``recognize``, by one thread at a time.
        """
        model = ModelInfo(name=self._name, version=self._version, backbone=self._info.name, catalog=catalog.snapshot.id)
        if catalog.snapshot.products == 0:
            self._take_over(catalog=None, matcher=self._links, model=model)
        else:
            if self._detector is not None:
                # No batch uses the detector now: there was no catalog yet, or it has been ready since the first.
                self._detector.get_ready()
            matcher = LabelMatcher(self.labels, catalog.known_by_label(), self.settings.thresholds)
            self._take_over(catalog=catalog, matcher=matcher, model=model)

    def use_offers(self, offers: Offers) -> None:
        """Answer with these prices, and without what is sold out by them, from the next batch on. For any thread."""
        self._take_over(offers=offers)

    def _take_over(self, **changed: Any) -> None:
        with self._taking_over:
            self._served = replace(self._served, **changed)

    def warm_up(self, batch_size: int) -> None:
        """Run the network on batches of every size up to ``batch_size``, and answer a blank image of each format.

        No viewer pays for first times then. The images are answered alone: a catalog's search is the same for each of a
        batch, and takes most of an answer.

        Raises:
            ConfigurationError: not even that works: such a worker must not call itself ready. The log says why.
        """
        side_px = self._info.preprocessing.input_px
        for count in range(1, batch_size + 1):
            if self._forward(np.zeros((count, side_px, side_px, 3), dtype=np.uint8)) is None:
                raise ConfigurationError(f"the archive's network cannot be run on {count} blank image(s) at once")
        options = Options(room=None, top_k=self.settings.top_k.default, threshold=None, text="never")
        for blank in images.blank(side_px=self._info.preprocessing.resize_px):
            [answer] = self.recognize([Request(blank, options)]).replies
            if isinstance(answer, RecognitionError):
                raise ConfigurationError(f"the archive cannot recognise a blank image: {answer}")

    def recognize(self, requests: Sequence[Request | RecognitionError]) -> BatchResult:
        """Answer a batch, classified in one call. A request that is an error, or becomes one, touches no other."""
        result = BatchResult(replies=[])
        started = time.perf_counter()
        served = self._served
        decode = functools.partial(self._decode, served)
        decoded = [_guarded(decode, request) for request in requests]
        result.seconds.decode = time.perf_counter() - started

        good = [item for item in decoded if isinstance(item, Item)]
        started = time.perf_counter()
        probabilities = self._probabilities(good)
        result.seconds.network = time.perf_counter() - started
        found = None
        if good and probabilities is not None and served.catalog is not None and self._detector is not None:
            queries = queries_of(
                served.catalog, good, probabilities, default_threshold=self.settings.thresholds.catalog
            )
            found = detect_all(self._detector, served.catalog, queries)
            result.seconds.add(found.seconds)
            result.texts_read = sum(each is not None and each.scene.text_was_read for each in found.frames)

        started = time.perf_counter()
        answers: Iterator[Reply | RecognitionError] = itertools.repeat(InternalError(FAILED))
        if probabilities is not None:
            answers = replies_of(
                served,
                good,
                probabilities,
                found,
                result.seconds,
                labels=self.labels,
                default_threshold=self.settings.thresholds.catalog,
            )
        result.replies += [item if isinstance(item, RecognitionError) else next(answers) for item in decoded]
        result.seconds.match += time.perf_counter() - started
        return result

    def scene_of(self, image: bytes) -> tuple[LoadedCatalog, Scene]:
        """Evidence found in an image before it is weighed, text where it would be read: for fitting weights.

        Raises:
            RecognitionError: the image cannot be decoded.
            ConfigurationError: there is no catalog to look for.
        """
        served = self._served
        catalog = served.catalog
        if catalog is None or self._detector is None:
            raise ConfigurationError("there is no catalog of photos or names to look for")
        options = Options(room=None, top_k=0, threshold=None, text="auto")
        item = self._decode(served, Request(image, options))
        labels = np.zeros((1, len(self.labels)), dtype=np.float32)
        [query] = queries_of(catalog, [item], labels, default_threshold=self.settings.thresholds.catalog)
        scene = self._detector.scene_of(catalog, query)
        return catalog, scene

    def describe(self) -> dict[str, Any]:
        """Facts of this archive: for people, and for checks that two archives are the same."""
        return {
            "schema": SCHEMA,
            "model": {
                "name": self._served.model.name,
                "version": self._served.model.version,
                "backbone": self._info.name,
                "architecture": self._info.architecture,
                "weights_sha256": self._info.weights_sha256,
                "licence": self._info.licence,
                "catalog": self._served.model.catalog,
                "offers": self._served.offers.revision,
            },
            "labels": {"count": len(self.labels), "fingerprint": self.labels.fingerprint},
            "preprocessing": self._info.preprocessing,
            "thresholds": self.settings.thresholds,
            "top_k": self.settings.top_k,
            "images": self.settings.images,
            "runtime": {"name": self.runtime.name, "threads": self.runtime.threads},
        }

    def _decode(self, served: Served, request: Request) -> Item:
        started = time.perf_counter()
        with_frame = served.catalog is not None
        spec = self._info.preprocessing
        short_side_px = max(spec.resize_px, _FRAME_SHORT_PX) if with_frame else spec.resize_px
        photo = images.decode(request.image, self.settings.images, short_side_px=short_side_px)
        request.options.check_size(photo.width, photo.height)
        frame = images.bounded(photo.rgb, short_side_px) if with_frame else None
        # Of the classes nothing is shown and nothing follows: then the classifier needs not look.
        with_labels = request.options.top_k > 0 or served.uses_labels
        pixels = images.centre_crop(photo, spec) if with_labels else None
        # The photo itself ends here: eight of 67 megapixels, kept until the batch is done, would take 2 GB.
        return Item(request, ImageInfo(photo.width, photo.height), pixels, frame, time.perf_counter() - started)

    def _probabilities(self, items: Sequence[Item]) -> NDArray[np.float32] | None:
        """Of the classes, (N, C), zeros for items without pixels; None: the network failed."""
        probabilities = np.zeros((len(items), len(self.labels)), np.float32)
        pixels = {row: item.pixels for row, item in enumerate(items) if item.pixels is not None}
        if pixels:
            logits = self._forward(np.stack(list(pixels.values())))
            if logits is None:
                return None
            probabilities[list(pixels)] = softmax(logits)
        return probabilities

    def _forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        try:
            return self.runtime.forward(pixels)
        except Exception:
            logger.exception("the network failed on a batch of %d", len(pixels))
            return None


def _guarded(step: Callable[[Request], T], request: Request | RecognitionError) -> T | RecognitionError:
    if isinstance(request, RecognitionError):
        return request
    try:
        return step(request)
    except RecognitionError as error:
        return error
    except Exception:  # raised here it would fail the neighbours in the batch as well
        logger.exception("a request failed unexpectedly")
        return InternalError(FAILED)
