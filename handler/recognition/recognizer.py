"""The whole of recognition: a batch of requests in, a reply or an error for each out."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition import images
from recognition.artifact import LABELS_FILE, LINKS_FILE, BackboneInfo, read_info
from recognition.calibration import load_calibration
from recognition.catalog import LoadedCatalog, open_catalog
from recognition.embedding import fingerprint
from recognition.errors import ConfigurationError, InternalError, RecognitionError
from recognition.finder import Finder, FinderResult, FinderSeconds, Found, Look
from recognition.label_match import LabelMatcher, softmax, top_labels
from recognition.labels import LabelSet, load_labels
from recognition.links import load_links
from recognition.reply import SCHEMA, ImageInfo, ModelInfo, Reply, TextLine, TimingMs
from recognition.request import Options, Request
from recognition.runtime import Runtime, open_runtime
from recognition.scene import Scene
from recognition.settings import Settings
from recognition.shown import products_shown, scaled_box
from recognition.text.ocr import TextReader

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Short side that a frame keeps at least where products are looked for in it: the print of a product that fills a fifth
#: of it can then still be read.
_FRAME_SHORT_PX = 720
_FAILED = "the image could not be recognised; the server's log says why"


@dataclass
class StageSeconds:
    """Wall time of a batch's stages. ``network`` is 0.0 where no image of the batch could be decoded."""

    decode: float = 0.0
    network: float = 0.0
    print: float = 0.0
    text: float = 0.0
    match: float = 0.0

    def add(self, finder: FinderSeconds) -> None:
        """Count in what the finder spent."""
        self.network += finder.network
        self.print += finder.print
        self.text += finder.text
        self.match += finder.match


@dataclass
class BatchResult:
    """``replies[i]`` answers ``requests[i]``."""

    replies: list[Reply | RecognitionError]
    seconds: StageSeconds = field(default_factory=StageSeconds)
    texts_read: int = 0


@dataclass
class _Item:
    """One good request on its way through the stages."""

    request: Request
    image: ImageInfo
    pixels: NDArray[np.uint8]
    frame: Image.Image | None
    decode_s: float


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
        self._served = _Served(None, matcher, ModelInfo(name=name, version=version, backbone=info.name, catalog=None))

    @classmethod
    def from_folder(
        cls, folder: Path, settings: Settings, *, name: str, version: str, gpu_id: int | None = None
    ) -> Recognizer:
        """Load an unpacked archive.

        Raises:
            ConfigurationError: a file of it is missing, wrong or does not fit the others.
        """
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
            finder=Finder(runtime, TextReader(threads=runtime.threads), load_calibration(info.name).weights),
        )

    @property
    def fingerprint(self) -> str:
        """What a snapshot's vectors must have been made with."""
        return fingerprint(self._info)

    @property
    def matcher(self) -> LabelMatcher:
        """Of the catalog that is served."""
        return self._served.matcher

    def open_catalog(self, path: Path) -> LoadedCatalog:
        """Open a snapshot that this recogniser can take over. May run beside ``recognize``.

        Raises:
            SnapshotError: it cannot be used, and why.
        """
        return open_catalog(
            path, fingerprint=self.fingerprint, labels=self.labels, allowed_hosts=self.settings.allowed_hosts
        )

    def use_catalog(self, catalog: LoadedCatalog) -> None:
        """Match against ``catalog`` from the next batch on; one without products leaves the archive's own links."""
        model = ModelInfo(name=self._name, version=self._version, backbone=self._info.name, catalog=catalog.snapshot.id)
        if catalog.snapshot.products == 0:
            self._served = _Served(None, self._links, model)
        else:
            matcher = LabelMatcher(self.labels, catalog.known_by_label(), self.settings.thresholds)
            self._served = _Served(catalog, matcher, model)

    def warm_up(self, batch_size: int) -> None:
        """Answer blank images in batches of every size up to ``batch_size``, so that no viewer pays for first times.

        Raises:
            ConfigurationError: not even that works: such a worker must not call itself ready. The log says why.
        """
        options = Options(room=None, top_k=self.settings.top_k.default, threshold=None, text="never")
        blanks = itertools.cycle(images.blank(side_px=self._info.preprocessing.resize_px))
        for count in range(1, batch_size + 1):
            for answer in self.recognize([Request(next(blanks), options) for _ in range(count)]).replies:
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

        good = [item for item in decoded if isinstance(item, _Item)]
        started = time.perf_counter()
        logits = self._forward(good) if good else None
        result.seconds.network = time.perf_counter() - started
        probabilities = softmax(logits) if logits is not None else np.zeros((0, len(self.labels)), np.float32)
        found = self._find(served, good, probabilities) if logits is not None else None
        if found is not None:
            result.seconds.add(found.seconds)
            result.texts_read = sum(each.text_was_read for each in found.found)

        started = time.perf_counter()
        answers = iter(self._replies(served, good, probabilities, found, result.seconds))
        for item in decoded:
            if isinstance(item, RecognitionError):
                result.replies.append(item)
            else:
                result.replies.append(InternalError(_FAILED) if logits is None else next(answers))
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
        frame = self._decode(Request(image, options), with_frame=True).frame
        assert frame is not None
        unlabelled = np.zeros(len(self.labels), dtype=np.float32)
        found = self._finder.find(catalog, [Look(frame, catalog.snapshot.room_mask(None), "always", unlabelled)]).found[
            0
        ]
        assert found is not None
        return catalog, found.scene

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

    def _decode(self, request: Request, *, with_frame: bool) -> _Item:
        started = time.perf_counter()
        spec = self._info.preprocessing
        short_side_px = max(spec.resize_px, _FRAME_SHORT_PX) if with_frame else spec.resize_px
        photo = images.decode(request.image, self.settings.images, short_side_px=short_side_px)
        frame = images.bounded(photo.rgb, short_side_px) if with_frame else None
        pixels = images.centre_crop(photo, spec)
        # The photo itself ends here: eight of 67 megapixels, kept until the batch is done, would take 2 GB.
        return _Item(request, ImageInfo(photo.width, photo.height), pixels, frame, time.perf_counter() - started)

    def _forward(self, items: Sequence[_Item]) -> NDArray[np.float32] | None:
        try:
            return self.runtime.forward(np.stack([item.pixels for item in items]))
        except Exception:
            logger.exception("the network failed on a batch of %d", len(items))
            return None

    def _find(self, served: _Served, items: Sequence[_Item], probabilities: NDArray[np.float32]) -> FinderResult | None:
        if served.catalog is None or self._finder is None:
            return None
        looks = [
            Look(
                frame=item.frame,
                allowed=served.catalog.snapshot.room_mask(item.request.options.room),
                text=item.request.options.text,
                label_probabilities=row,
            )
            for item, row in zip(items, probabilities, strict=True)
            if item.frame is not None
        ]
        try:
            return self._finder.find(served.catalog, looks)
        except Exception:
            logger.exception("products could not be looked for in a batch of %d", len(looks))
            # Each for itself: one frame that nobody foresaw must not cost its neighbours their cards.
            result = FinderResult()
            for look in looks:
                result.found.append(self._find_alone(served.catalog, look, result.seconds))
            return result

    def _find_alone(self, catalog: LoadedCatalog, look: Look, seconds: FinderSeconds) -> Found | None:
        assert self._finder is not None
        try:
            alone = self._finder.find(catalog, [look])
        except Exception:
            logger.exception("products could not be looked for in a frame of %dx%d", *look.frame.size)
            return None
        seconds.add(alone.seconds)
        return alone.found[0]

    def _replies(
        self,
        served: _Served,
        items: Sequence[_Item],
        probabilities: NDArray[np.float32],
        found: FinderResult | None,
        seconds: StageSeconds,
    ) -> Iterator[Reply | RecognitionError]:
        for index, (item, row) in enumerate(zip(items, probabilities, strict=True)):
            seen = None if found is None else found.found[index]
            if found is not None and seen is None:
                yield InternalError(_FAILED)
            else:
                yield self._reply(served, item, row, seen, seconds)

    def _reply(
        self,
        served: _Served,
        item: _Item,
        probabilities: NDArray[np.float32],
        found: Found | None,
        seconds: StageSeconds,
    ) -> Reply:
        options = item.request.options
        frame_size = item.frame.size if item.frame is not None else (item.image.width, item.image.height)
        scale = (item.image.width / frame_size[0], item.image.height / frame_size[1])
        by_label = served.matcher.match(probabilities, threshold=options.threshold, room=options.room)
        products, lines = by_label, []
        if found is not None and served.catalog is not None:
            threshold = options.threshold
            products = products_shown(
                served.catalog, found.sightings, by_label, threshold, self.settings.thresholds.default, scale
            )
            lines = [
                TextLine(line.text, round(line.confidence, 3), scaled_box(line.box, scale)) for line in found.lines
            ]
        return Reply(
            schema=SCHEMA,
            model=served.model,
            image=item.image,
            labels=top_labels(probabilities, self.labels, options.top_k),
            products=products,
            texts=lines,
            timing_ms=TimingMs(
                decode=_ms(item.decode_s),
                network=_ms(seconds.network),
                print=_ms(seconds.print),
                text=_ms(seconds.text),
                match=_ms(seconds.match),
            ),
        )


@dataclass(frozen=True)
class _Served:
    """What a batch is matched with: ``catalog`` is None where the archive's links are all there is."""

    catalog: LoadedCatalog | None
    matcher: LabelMatcher
    model: ModelInfo


def _guarded(step: Callable[[Request], T], request: Request | RecognitionError) -> T | RecognitionError:
    if isinstance(request, RecognitionError):
        return request
    try:
        return step(request)
    except RecognitionError as error:
        return error
    except Exception:  # raised here it would fail the neighbours in the batch as well
        logger.exception("a request failed unexpectedly")
        return InternalError(_FAILED)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
