"""A photo or a crop as vectors, local features and text: one recipe for catalog photos and for what a frame shows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition import images
from recognition.artifact import BackboneInfo, read_info
from recognition.colours import cells_of
from recognition.errors import ConfigurationError
from recognition.foreground import WHOLE, BoxXyxyShare, object_box
from recognition.local_features import extract, pack
from recognition.photo_features import PhotoFeatures
from recognition.runtime import Runtime, open_runtime
from recognition.settings import ImageLimits, RuntimeChoice
from recognition.text.ocr import TextReader
from recognition.vectors import VectorSpace, load_space

#: Raised whenever the same photo would get other vectors or local features: old snapshots are then refused.
RECIPE = 2
#: Side of the square that a crop is fitted into for the network, a multiple of its stride of 32.
CROP_PX = 288
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
_GREY = (128, 128, 128)
#: How a catalog photo is changed to look like one of a live show: tilt, loss of resolution, share cut off each side.
_TILT_DEG = 20
_BLUR = 5
_CUT_OFF = 0.12
_LIMITS = ImageLimits(max_bytes=64 << 20, max_pixels=1 << 27)


def fingerprint(info: BackboneInfo) -> str:
    """What a snapshot's vectors must have been made with: these weights, by this recipe, in this space.

    Raises:
        ConfigurationError: the space cannot be read.
    """
    return f"{info.name}/{info.weights_sha256[:16]}/recipe{RECIPE}/{space_of(info).name}"


# Asked for with each fingerprint, and so at each change of the catalog: an archive's files stay as they are.
@functools.lru_cache(maxsize=4)
def space_of(info: BackboneInfo) -> VectorSpace:
    """Where this backbone's vectors are compared.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return VectorSpace("none") if info.feature_channels is None else load_space(info.name, info.feature_channels)


def dimensions_of(info: BackboneInfo) -> int:
    """D of the vectors; 1 for a backbone that has none.

    Raises:
        ConfigurationError: the space cannot be read.
    """
    return space_of(info).dimensions(info.feature_channels or 1)


def fit_square(image: Image.Image, side_px: int = CROP_PX) -> NDArray[np.uint8]:
    """``image`` scaled whole into a grey square, uint8 (side, side, 3).

    Cutting a bottle to its middle would lose the label: padding found 0.56 of the drinks, centre-cropping 0.39.
    """
    scale = side_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    square = Image.new("RGB", (side_px, side_px), _GREY)
    resized = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    square.paste(resized, ((side_px - size[0]) // 2, (side_px - size[1]) // 2))
    return np.asarray(square)


def crop_vectors(runtime: Runtime, space: VectorSpace, crops: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Photo vectors (N, D) of photos or crops of frames, all in one call."""
    return space.vectors(runtime.features(np.stack([fit_square(crop) for crop in crops])).mean(axis=(2, 3)))


class PhotoEmbedder:
    """Turns the photos of a catalog into what a snapshot holds of them. Not thread-safe."""

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
        """Everything that is kept of a photo.

        Raises:
            RecognitionError: it cannot be decoded.
        """
        photo = images.decode(image, _LIMITS, short_side_px=_DECODE_SHORT_PX).rgb
        box = object_box(photo)
        product = photo if box == WHOLE else _cut(photo, box)
        views = [photo, *([] if box == WHOLE else [product]), *(_as_held(product) if self._as_held else [])]
        scale = PHOTO_LOCAL_PX / max(product.size)
        size = (max(1, round(product.width * scale)), max(1, round(product.height * scale)))
        local = extract(np.asarray(product.resize(size, Image.Resampling.BICUBIC)), count=self._local_count)
        pixels = np.asarray(product)
        lines = self._reader.read(pixels)
        return PhotoFeatures(
            vectors=crop_vectors(self._runtime, self._space, views).astype(np.float16),
            cells=cells_of(pixels),
            local_xy=(local.xy / np.array(size, dtype=np.float32)).astype(np.float16),
            local_descriptors=pack(local.descriptors),
            lines=tuple((line.text, round(line.confidence, 3)) for line in lines),
        )


def open_embedder(archive_folder: Path, *, threads: int, photos: int = 0) -> PhotoEmbedder:
    """The embedder of an unpacked archive, for a catalog of ``photos``: its vectors and the serving network agree.

    Raises:
        ConfigurationError: a file of the archive is missing, or its network cannot embed photos.
    """
    return embedders(archive_folder, threads=threads)(photos)


def embedders(archive_folder: Path, *, threads: int) -> Callable[[int], PhotoEmbedder]:
    """What makes embedders of an unpacked archive for catalogs of so many photos; network and reader are loaded once.

    Raises:
        ConfigurationError: as ``open_embedder``.
    """
    info = read_info(archive_folder)
    cpu: Literal["openvino", "torch"] = "openvino" if (archive_folder / "features.xml").is_file() else "torch"
    # In float32 on every machine, so that the same photos give the same snapshot.
    choice = RuntimeChoice(cpu=cpu, threads=threads, precision="f32")
    runtime = open_runtime(archive_folder, info, choice, gpu_id=None)
    reader = TextReader(threads=threads)
    return lambda photos: PhotoEmbedder(info, runtime, reader, photos=photos)


def _as_held(product: Image.Image) -> list[Image.Image]:
    """The product tilted, out of focus and cut off at the sides, as a host holds it.

    With these six views beside the photo itself, the right product was among the twelve most alike in 83 of 100
    composed frames, without them in 73.
    """
    shown = product.copy()
    shown.thumbnail((PHOTO_LOCAL_PX, PHOTO_LOCAL_PX))
    width, height = shown.size
    far = shown.resize((max(1, width // _BLUR), max(1, height // _BLUR)), Image.Resampling.BILINEAR)
    blurred = far.resize(shown.size, Image.Resampling.BICUBIC)
    side = (int(_CUT_OFF * width), int(_CUT_OFF * height))
    middle = shown.crop((side[0], side[1], max(width - side[0], side[0] + 1), max(height - side[1], side[1] + 1)))
    tilted = [
        view.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_GREY)
        for view in (shown, blurred)
        for angle in (_TILT_DEG, -_TILT_DEG)
    ]
    return [*tilted, blurred, middle]


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
