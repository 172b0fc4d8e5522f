"""A photo or a crop as vectors, local features and text: one recipe for catalog photos and for what a frame shows."""

import functools
import math
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.images import PHOTO_KINDS
from recognition.catalog.foreground import WHOLE, BoxXyxyShare, object_box
from recognition.errors import ConfigurationError
from recognition.index.vectors import CROP_PX, GREY, fit_square, space_of, square_vectors
from recognition.keypoints.colours import cells_of
from recognition.keypoints.extract import extract, pack
from recognition.network.artifact import BackboneInfo, read_info
from recognition.network.runtime import Runtime, open_runtime
from recognition.request import images
from recognition.settings import ImageLimits, RuntimeChoice
from recognition.snapshot.format import CELLS, DESCRIPTOR_BYTES
from recognition.text.ocr import TextReader

#: Raised whenever the same photo would get other vectors or local features: old snapshots are then refused.
RECIPE = 3
#: Longer side on which local features are found, and how many, in a catalog photo. On fewer pixels they are faster and
#: see less: on drinks with one photo each 0.86 were right at 400 px with 500 features, 0.79 at 256 px with 300.
PHOTO_LOCAL_PX = 400
PHOTO_LOCAL_COUNT = 500
#: Photos up to which a catalog has the views as held, and all local features; and the features of each beyond that.
_MOST_AS_HELD = 5_000
_MOST_IN_DETAIL = 20_000
_LOCAL_COUNT_OF_MANY = 100
#: What a photo is decoded to at least; more would be thrown away by all of the above.
_DECODE_SHORT_PX = 512
#: How a catalog photo is changed to look like one of a live show: tilt, loss of resolution, share cut off each side.
_TILT_DEG = 20
_BLUR = 5
_CUT_OFF = 0.12
#: Photos embedded at a time at most: each has a network and a reader of its own.
_MOST_AT_ONCE = 4
_LIMITS = ImageLimits(max_bytes=64 << 20, max_pixels=1 << 27)


@dataclass(frozen=True)
class PhotoFeatures:
    """Everything of one photo that is matched later.

    ``vectors`` float16 (views, D), each L2-normalised; ``cells`` uint8 (``CELLS``, ``CELLS``, 3), its mean colours as
    RGB; ``local_xy`` float16 (l, 2) and ``local_descriptors`` uint8
    (l, ``DESCRIPTOR_BYTES``), one row a point; ``lines``, the text read on it with confidences 0..1.
    """

    vectors: NDArray[np.float16]
    cells: NDArray[np.uint8]
    local_xy: NDArray[np.float16]
    local_descriptors: NDArray[np.uint8]
    lines: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float16 or len(self.vectors) == 0:
            raise ValueError(f"vectors: float16 (1 or more, D) expected, got {_type_of(self.vectors)}")
        if self.cells.shape != (CELLS, CELLS, 3) or self.cells.dtype != np.uint8:
            raise ValueError(f"cells: uint8 {(CELLS, CELLS, 3)} expected, got {_type_of(self.cells)}")
        if self.local_xy.ndim != 2 or self.local_xy.shape[1] != 2 or self.local_xy.dtype != np.float16:
            raise ValueError(f"local_xy: float16 (l, 2) expected, got {_type_of(self.local_xy)}")
        shape = (len(self.local_xy), DESCRIPTOR_BYTES)
        if self.local_descriptors.shape != shape or self.local_descriptors.dtype != np.uint8:
            raise ValueError(f"local_descriptors: uint8 {shape} expected, got {_type_of(self.local_descriptors)}")


def _type_of(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} {array.shape}"


def fingerprint(info: BackboneInfo) -> str:
    """Names the weights, the recipe and the space that a snapshot's vectors must have been made with.

    Raises:
        ConfigurationError: the space cannot be read.
    """
    return f"{info.name}/{info.weights_sha256[:16]}/recipe{RECIPE}/{space_of(info).name}"


def dimensions_of(info: BackboneInfo) -> int:
    """D of the vectors; 1 for a backbone that has none.

    Raises:
        ConfigurationError: the space cannot be read.
    """
    return space_of(info).dimensions(info.feature_channels or 1)


class PhotoEmbedder:
    """Turns the photos of a catalog into what a snapshot holds of them. Not thread-safe."""

    at_once = 1

    def __init__(self, info: BackboneInfo, runtime: Runtime, reader: TextReader, *, photos: int = 0) -> None:
        """Use the runtime and the reader of an archive, for a catalog of about ``photos`` in all.

        A large catalog keeps less of each photo, or it would not fit a server: no views as held, fewer local features.

        Raises:
            ConfigurationError: its network has no feature map.
        """
        if info.feature_channels is None:
            raise ConfigurationError(f"{info.name} has no feature map: a catalog for it can hold no photos")
        self.fingerprint = fingerprint(info)
        self.dimensions = dimensions_of(info)
        self._space = space_of(info)
        self._runtime = runtime
        self._reader = reader
        self._as_held = photos <= _MOST_AS_HELD
        self._local_count = PHOTO_LOCAL_COUNT if photos <= _MOST_IN_DETAIL else _LOCAL_COUNT_OF_MANY

    def embed(self, image: bytes) -> PhotoFeatures:
        """Embeds a photo.

        Raises:
            RecognitionError: it cannot be decoded.
        """
        photo = images.decode(image, _LIMITS, short_side_px=_DECODE_SHORT_PX, kinds=PHOTO_KINDS).rgb
        box = object_box(photo)
        product = photo if box == WHOLE else _cut(photo, box)
        pixels = np.asarray(product)
        views = [fit_square(view) for view in ([photo] if box == WHOLE else [photo, product])]
        if self._as_held:
            views += _as_held(product)
        scale = PHOTO_LOCAL_PX / max(product.size)
        size = (max(1, round(product.width * scale)), max(1, round(product.height * scale)))
        local = extract(np.asarray(product.resize(size, Image.Resampling.BICUBIC)), count=self._local_count)
        lines = self._reader.read(pixels)
        return PhotoFeatures(
            vectors=square_vectors(self._runtime, self._space, np.stack(views)).astype(np.float16),
            cells=cells_of(pixels),
            local_xy=(local.xy / np.array(size, dtype=np.float32)).astype(np.float16),
            local_descriptors=pack(local.descriptors),
            lines=tuple((line.text, round(line.confidence, 3)) for line in lines),
        )


#: A network and a reader, for one photo at a time.
_Lane = tuple[Runtime, TextReader]


class ParallelEmbedder:
    """Embeds up to ``at_once`` photos at a time, for as many threads."""

    def __init__(self, info: BackboneInfo, lanes: "_Lanes", *, at_once: int, photos: int) -> None:
        self.at_once = at_once
        self._lanes = lanes
        self._embedder_on = functools.partial(PhotoEmbedder, info, photos=photos)
        with lanes.one() as lane:
            embedder = self._embedder_on(*lane)
        self.fingerprint = embedder.fingerprint
        self.dimensions = embedder.dimensions

    def embed(self, image: bytes) -> PhotoFeatures:
        """Embeds a photo.

        Raises:
            RecognitionError: it cannot be decoded.
        """
        with self._lanes.one() as lane:
            return self._embedder_on(*lane).embed(image)


class _Lanes:
    """Keeps as many as were ever used at the same time."""

    def __init__(self, open_lane: Callable[[], _Lane]) -> None:
        self._open_lane = open_lane
        self._idle: queue.LifoQueue[_Lane] = queue.LifoQueue()

    @contextmanager
    def one(self) -> Iterator[_Lane]:
        try:
            lane = self._idle.get_nowait()
        except queue.Empty:
            lane = self._open_lane()
        try:
            yield lane
        finally:
            self._idle.put(lane)


def embedders(archive_folder: Path, *, threads: int) -> Callable[[int], ParallelEmbedder]:
    """A factory of embedders of an unpacked archive, by a catalog's number of photos; networks are loaded once.

    Raises:
        ConfigurationError: a file of the archive is missing; by the factory: its network cannot embed photos.
    """
    info = read_info(archive_folder)
    cpu: Literal["openvino", "torch"] = "openvino" if (archive_folder / "features.xml").is_file() else "torch"
    at_once = min(threads, _MOST_AT_ONCE)
    # In float32 on every machine, so that the same photos give the same snapshot.
    choice = RuntimeChoice(cpu=cpu, threads=threads // at_once, precision="f32")
    lanes = _Lanes(
        lambda: (open_runtime(archive_folder, info, choice, gpu_id=None), TextReader(threads=threads // at_once))
    )
    return lambda photos: ParallelEmbedder(info, lanes, at_once=at_once, photos=photos)


def _as_held(product: Image.Image) -> list[NDArray[np.uint8]]:
    """The product out of focus, tilted to either side, and cut off at the sides, as a host holds it: network squares.

    Of 412 crops of drinks as held, 0.612 had their product among the twelve most alike by its photo alone, 0.675 with
    these three views beside it, and 0.672 with six: tilted in focus and upright out of focus as well.
    """
    shown = product.copy()
    shown.thumbnail((PHOTO_LOCAL_PX, PHOTO_LOCAL_PX))
    size = (max(1, shown.width // _BLUR), max(1, shown.height // _BLUR))
    blurred = np.asarray(shown.resize(size, Image.Resampling.BILINEAR))
    width, height = product.size
    side = (int(_CUT_OFF * width), int(_CUT_OFF * height))
    middle = product.crop((side[0], side[1], max(width - side[0], side[0] + 1), max(height - side[1], side[1] + 1)))
    return [*(_tilted(blurred, angle) for angle in (_TILT_DEG, -_TILT_DEG)), fit_square(middle)]


def _tilted(small: NDArray[np.uint8], angle_deg: float) -> NDArray[np.uint8]:
    """``small`` turned anticlockwise, enlarged whole into the grey square of ``fit_square``."""
    sine, cosine = abs(math.sin(math.radians(angle_deg))), math.cos(math.radians(angle_deg))
    height, width = small.shape[:2]
    scale = CROP_PX / max(width * cosine + height * sine, width * sine + height * cosine)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    middle = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    turn = np.asarray(cv2.getRotationMatrix2D(middle, angle_deg, 1.0), np.float64)
    turn[:, 2] += (CROP_PX - 1) / 2 - np.array(middle)
    enlarged = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    square = cv2.warpAffine(enlarged, turn, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC, borderValue=GREY)
    return np.asarray(square, np.uint8)


def _cut(photo: Image.Image, box: BoxXyxyShare) -> Image.Image:
    left, top, right, bottom = box
    return photo.crop(
        (
            int(left * photo.width),
            int(top * photo.height),
            max(int(right * photo.width), int(left * photo.width) + 1),
            max(int(bottom * photo.height), int(top * photo.height) + 1),
        )
    )
