"""The whole of recognition: a batch of requests in, a reply or an error for each out."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recognition import images
from recognition.answer import FAILED, find_all, looks_of, replies_of
from recognition.artifact import LABELS_FILE, LINKS_FILE, BackboneInfo, read_info
from recognition.batch import BatchResult, Item, Served
from recognition.box_fit import BoxCorrection, load_box_fit
from recognition.calibration import load_calibration
from recognition.catalog import LoadedCatalog, open_catalog
from recognition.embedding import fingerprint, space_of
from recognition.errors import ConfigurationError, InternalError, RecognitionError
from recognition.finder import Finder
from recognition.label_match import LabelMatcher, softmax
from recognition.labels import LabelSet, load_labels
from recognition.links import load_links
from recognition.reply import SCHEMA, ImageInfo, ModelInfo
from recognition.request import Options, Request
from recognition.runtime import Runtime, open_runtime
from recognition.scene import Scene
from recognition.settings import Settings
from recognition.text.ocr import TextReader

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Short side that a frame keeps at least where products are looked for in it: the print of a product that fills a fifth
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
        finder: Finder | None = None,
    ) -> None:
        """Without a ``finder`` the catalog is the links that ``matcher`` knows, and no other can be taken over."""
        self.settings = settings
        self.labels = labels
        self.runtime = runtime
        self._info = info
        self._name = name
        self._version = version
        self._finder = finder
        self._links = matcher
        #: Replaced as one, so that a batch sees the old catalog or the new one and never both.
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
            finder=Finder(
                runtime,
                # One more: while text is read, the thread beside the network (search.py) has done its part.
                TextReader(threads=runtime.threads + 1),
                load_calibration(info.name).weights,
                space_of(info),
                load_box_fit(info.name),
            ),
        )

    @property
    def fingerprint(self) -> str:
        """What a snapshot's vectors must have been made with."""
        return fingerprint(self._info)

    @property
    def matcher(self) -> LabelMatcher:
        """Of the catalog that is served."""
        return self._served.matcher

    def use_runtime(self, runtime: Runtime) -> None:
        """Run the network by ``runtime`` from now on: a benchmark's, which times each pass."""
        self.runtime = runtime
        if self._finder is not None:
            self._finder.runtime = runtime

    def use_box_fit(self, fit: BoxCorrection) -> None:
        """Correct boxes by ``fit`` from now on: one that is tried, or only watches."""
        if self._finder is not None:
            self._finder.box_fit = fit

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
            self._served = Served(None, self._links, model)
        else:
            if self._finder is not None:
                # No batch uses the finder now: there was no catalog to look for, or it has been ready since the first.
                self._finder.get_ready()
            matcher = LabelMatcher(self.labels, catalog.known_by_label(), self.settings.thresholds)
            self._served = Served(catalog, matcher, model)

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
        """Answer a batch with one call of the runtime. A request that is an error, or becomes one, touches no other."""
        result = BatchResult(replies=[])
        started = time.perf_counter()
        served = self._served
        decode = functools.partial(self._decode, with_frame=served.catalog is not None)
        decoded = [_guarded(decode, request) for request in requests]
        result.seconds.decode = time.perf_counter() - started

        good = [item for item in decoded if isinstance(item, Item)]
        started = time.perf_counter()
        logits = self._forward(np.stack([item.pixels for item in good])) if good else None
        result.seconds.network = time.perf_counter() - started
        probabilities = softmax(logits) if logits is not None else np.zeros((0, len(self.labels)), np.float32)
        found = None
        if logits is not None and served.catalog is not None and self._finder is not None:
            found = find_all(self._finder, served.catalog, looks_of(served.catalog, good, probabilities))
            result.seconds.add(found.seconds)
            result.texts_read = sum(each is not None and each.scene.text_was_read for each in found.found)

        started = time.perf_counter()
        answers = replies_of(
            served,
            good,
            probabilities,
            found,
            result.seconds,
            labels=self.labels,
            default_threshold=self.settings.thresholds.catalog,
        )
        for item in decoded:
            if isinstance(item, RecognitionError):
                result.replies.append(item)
            else:
                result.replies.append(InternalError(FAILED) if logits is None else next(answers))
        result.seconds.match += time.perf_counter() - started
        return result

    def look_closely(self, image: bytes) -> tuple[LoadedCatalog, Scene]:
        """What is found in an image before it is weighed, text included: for fitting weights, and for people.

        Raises:
            RecognitionError: the image cannot be decoded.
            ConfigurationError: there is no catalog to look for.
        """
        catalog = self._served.catalog
        if catalog is None or self._finder is None:
            raise ConfigurationError("there is no catalog of photos or names to look for")
        options = Options(room=None, top_k=1, threshold=None, text="always")
        item = self._decode(Request(image, options), with_frame=True)
        [look] = looks_of(catalog, [item], np.zeros((1, len(self.labels)), dtype=np.float32))
        scene = self._finder.scene_of(catalog, look)
        return catalog, scene

    def describe(self) -> dict[str, Any]:
        """What this archive is: for people, and for checks that two archives are the same."""
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
            },
            "labels": {"count": len(self.labels), "fingerprint": self.labels.fingerprint},
            "preprocessing": self._info.preprocessing,
            "thresholds": self.settings.thresholds,
            "top_k": self.settings.top_k,
            "images": self.settings.images,
            "runtime": {"name": self.runtime.name, "threads": self.runtime.threads},
        }

    def _decode(self, request: Request, *, with_frame: bool) -> Item:
        started = time.perf_counter()
        spec = self._info.preprocessing
        short_side_px = max(spec.resize_px, _FRAME_SHORT_PX) if with_frame else spec.resize_px
        photo = images.decode(request.image, self.settings.images, short_side_px=short_side_px)
        request.options.check_size(photo.width, photo.height)
        frame = images.bounded(photo.rgb, short_side_px) if with_frame else None
        pixels = images.centre_crop(photo, spec)
        # The photo itself ends here: eight of 67 megapixels, kept until the batch is done, would take 2 GB.
        return Item(request, ImageInfo(photo.width, photo.height), pixels, frame, time.perf_counter() - started)

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
