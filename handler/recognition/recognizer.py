"""The whole of recognition: a batch of requests in, a reply or an error for each out."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recognition import images
from recognition.artifact import LABELS_FILE, LINKS_FILE, BackboneInfo, read_info
from recognition.errors import ConfigurationError, InternalError, RecognitionError
from recognition.fuse import LabelMatcher, softmax, top_labels
from recognition.labels import LabelSet, load_labels
from recognition.links import load_links
from recognition.reply import SCHEMA, ImageInfo, ModelInfo, Reply, TimingMs
from recognition.request import Options, Request
from recognition.runtime import Runtime, open_runtime
from recognition.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")
_FAILED = "the image could not be recognised; the server's log says why"


@dataclass
class StageSeconds:
    """Wall time of a batch's stages. ``network`` is 0.0 where no image of the batch could be decoded."""

    decode: float = 0.0
    network: float = 0.0
    match: float = 0.0


@dataclass
class BatchResult:
    """``replies[i]`` answers ``requests[i]``."""

    replies: list[Reply | RecognitionError]
    seconds: StageSeconds = field(default_factory=StageSeconds)


@dataclass
class _Item:
    """One good request on its way through the stages."""

    request: Request
    image: ImageInfo
    pixels: NDArray[np.uint8]
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
    ) -> None:
        self.settings = settings
        self.labels = labels
        self.matcher = matcher
        self.runtime = runtime
        self._info = info
        self._model = ModelInfo(name=name, version=version, backbone=info.name, catalog=None)

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
            runtime=open_runtime(folder, info, settings.runtime, gpu_id=gpu_id),
        )

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
        decoded = [_guarded(self._decode, request) for request in requests]
        result.seconds.decode = time.perf_counter() - started

        good = [item for item in decoded if isinstance(item, _Item)]
        started = time.perf_counter()
        logits = self._forward(good) if good else None
        result.seconds.network = network_s = time.perf_counter() - started

        started = time.perf_counter()
        probabilities = iter(softmax(logits) if logits is not None else ())
        for item in decoded:
            if isinstance(item, RecognitionError):
                result.replies.append(item)
            elif logits is None:
                result.replies.append(InternalError(_FAILED))
            else:
                result.replies.append(self._reply(item, next(probabilities), network_s))
        result.seconds.match = time.perf_counter() - started
        return result

    def describe(self) -> dict[str, Any]:
        """What this archive is: for people, and for checks that two archives are the same."""
        return {
            "schema": SCHEMA,
            "model": {
                "name": self._model.name,
                "version": self._model.version,
                "backbone": self._info.name,
                "architecture": self._info.architecture,
                "weights_sha256": self._info.weights_sha256,
                "licence": self._info.licence,
                "catalog": self._model.catalog,
            },
            "labels": {"count": len(self.labels), "fingerprint": self.labels.fingerprint},
            "preprocessing": self._info.preprocessing,
            "thresholds": self.settings.thresholds,
            "top_k": self.settings.top_k,
            "images": self.settings.images,
            "runtime": {"name": self.runtime.name, "threads": self.runtime.threads},
        }

    def _decode(self, request: Request) -> _Item:
        started = time.perf_counter()
        spec = self._info.preprocessing
        photo = images.decode(request.image, self.settings.images, short_side_px=spec.resize_px)
        pixels = images.centre_crop(photo, spec)
        # The photo itself ends here: eight of 67 megapixels, kept until the batch is done, would take 2 GB.
        return _Item(request, ImageInfo(photo.width, photo.height), pixels, time.perf_counter() - started)

    def _forward(self, items: Sequence[_Item]) -> NDArray[np.float32] | None:
        try:
            return self.runtime.forward(np.stack([item.pixels for item in items]))
        except Exception:
            logger.exception("the network failed on a batch of %d", len(items))
            return None

    def _reply(self, item: _Item, probabilities: NDArray[np.float32], network_s: float) -> Reply:
        started = time.perf_counter()
        options = item.request.options
        labels = top_labels(probabilities, self.labels, options.top_k)
        products = self.matcher.match(probabilities, threshold=options.threshold, room=options.room)
        match_s = time.perf_counter() - started
        return Reply(
            schema=SCHEMA,
            model=self._model,
            image=item.image,
            labels=labels,
            products=products,
            texts=[],
            timing_ms=TimingMs(decode=_ms(item.decode_s), network=_ms(network_s), text=0.0, match=_ms(match_s)),
        )


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
