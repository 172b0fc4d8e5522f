"""A batch of requests on its way through the stages, and what it is matched with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.catalog import LoadedCatalog
from recognition.errors import RecognitionError
from recognition.finder_seconds import FinderSeconds
from recognition.label_match import LabelMatcher
from recognition.reply import ImageInfo, ModelInfo, Reply
from recognition.request import Request


@dataclass
class StageSeconds(FinderSeconds):
    """Wall time of a batch's stages. ``network`` is 0.0 where no image of the batch could be decoded."""

    decode: float = 0.0


@dataclass
class BatchResult:
    """``replies[i]`` answers ``requests[i]``."""

    replies: list[Reply | RecognitionError]
    seconds: StageSeconds = field(default_factory=StageSeconds)
    texts_read: int = 0


@dataclass
class Item:
    """One good request on its way through the stages."""

    request: Request
    image: ImageInfo
    pixels: NDArray[np.uint8]
    frame: Image.Image | None
    decode_s: float


@dataclass(frozen=True)
class Served:
    """What a batch is matched with: ``catalog`` is None where the archive's links are all there is."""

    catalog: LoadedCatalog | None
    matcher: LabelMatcher
    model: ModelInfo
