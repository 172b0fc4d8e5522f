"""Photo vectors: averaged features to vectors whose inner product is the likeness of two products."""

import functools
import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.errors import ConfigurationError
from recognition.network.artifact import BackboneInfo
from recognition.network.runtime import Runtime

_FOLDER = Path(__file__).parents[1] / "fitted" / "projections"
_BACKGROUNDS = ("window", "crop")
_OF_BACKGROUND = ("mean", "axes", "rest")
#: Side of the square that a crop is fitted into for the network, a multiple of its stride of 32.
CROP_PX = 288
GREY = (128, 128, 128)


def hellinger(averages: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square roots of averaged features (N, C), each row with norm 1.

    The inner product of two rows is then the Bhattacharyya coefficient of the averages, which a few strong features
    cannot dominate: on the drinks of the evaluation 0.67 of the photos found their product by one photo, 0.65 without
    the root.
    """
    roots = np.sqrt(np.maximum(averages, 0.0))
    return _normalised(roots.astype(np.float32))


@dataclass(frozen=True)
class Background:
    """Normal distribution of vectors of parts of frames that show no product.

    ``mean`` (D,); ``axes`` (D, r): its main directions, each as long as its standard deviation; ``rest``: the variance
    along every other direction.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    rest: float

    def moments(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean (N,) and standard deviation (N,) of a background's similarity to each of ``views`` (N, D).

        Some photos resemble everything a little, and would draw every search to the same curtain: what a similarity
        says is by how many deviations it is above the mean (score normalisation by impostors, Z-norm: Auckenthaler
        and others, Digital Signal Processing 2000).
        """
        lengths = np.maximum(np.linalg.norm(self.axes, axis=0), 1e-9)
        along = views @ self.axes
        others = np.maximum(1.0 - np.square(along / lengths).sum(axis=1), 0.0)
        variance = np.square(along).sum(axis=1) + self.rest * others
        mean: NDArray[np.float32] = views @ self.mean
        return mean, np.sqrt(np.maximum(variance, 1e-9))


@dataclass(frozen=True)
class VectorSpace:
    """The space in which vectors of one backbone are compared.

    What turning, blur, a hand and another background change in a photo's features tells nothing of the product: along
    the directions in which they change most, the vectors count least (within-class covariance normalisation, Hatch and
    others, Interspeech 2006). ``mean`` (C,) and ``axes`` (C, D) were fitted by ``scripts/fit_projection.py``; a
    backbone without them is compared as it is. The backgrounds were fitted by the same script: of windows as the dense
    pass sees them, and of crops.
    """

    name: str
    mean: NDArray[np.float32] | None = None
    axes: NDArray[np.float32] | None = None
    windows: Background | None = None
    crops: Background | None = None

    def dimensions(self, channels: int) -> int:
        """D, of a backbone with C ``channels``."""
        return channels if self.axes is None else int(self.axes.shape[1])

    def vectors(self, averages: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) with norm 1 for averaged features (N, C)."""
        rows = hellinger(averages)
        if self.mean is None or self.axes is None:
            return rows
        projected = np.asarray((rows - self.mean) @ self.axes, np.float32)
        return _normalised(projected)


#: Of a backbone that nothing was fitted for.
PLAIN = VectorSpace("plain")


def load_space(backbone: str, channels: int) -> VectorSpace:
    """The fitted space of ``backbone``, or the plain one if it has none.

    Raises:
        ConfigurationError: its file cannot be read, or is not of so many ``channels``.
    """
    path = _FOLDER / f"{backbone}.npz"
    if not path.is_file():
        return PLAIN
    try:
        content = path.read_bytes()
        # From memory: NumPy leaves the file open where it is no archive.
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            mean, axes = (np.asarray(arrays[name], np.float32) for name in ("mean", "axes"))
            backgrounds = [
                [np.asarray(arrays[f"{kind}_{name}"], np.float32) for name in _OF_BACKGROUND] for kind in _BACKGROUNDS
            ]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_projection.py") from error
    if mean.shape != (channels,) or axes.ndim != 2 or len(axes) != channels:
        raise ConfigurationError(f"{path}: is for {len(mean)} channels, {backbone} has {channels}")
    for where, spread, rest in backgrounds:
        if where.shape != axes.shape[1:] or spread.ndim != 2 or len(spread) != len(where) or rest.shape != ():
            raise ConfigurationError(f"{path}: its background is of another space; run scripts/fit_projection.py")
    # The backgrounds change no vector, so that snapshots need not be made anew for them.
    name = hashlib.sha256(mean.tobytes() + axes.tobytes()).hexdigest()[:8]
    windows, crops = (Background(where, spread, float(rest)) for where, spread, rest in backgrounds)
    return VectorSpace(name, mean, axes, windows, crops)


def save_space(
    backbone: str, mean: NDArray[np.float32], axes: NDArray[np.float32], *, windows: Background, crops: Background
) -> Path:
    """Write ``mean`` (C,), ``axes`` (C, D) and the backgrounds where ``load_space`` looks."""
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{backbone}.npz"
    arrays = {"mean": mean, "axes": axes}
    for kind, background in zip(_BACKGROUNDS, (windows, crops), strict=True):
        arrays |= {f"{kind}_{name}": np.asarray(getattr(background, name)) for name in _OF_BACKGROUND}
    np.savez(path, allow_pickle=False, **{name: array.astype(np.float16) for name, array in arrays.items()})
    return path


def _normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    return normalised


# Asked for with each fingerprint, and so at each change of the catalog: an archive's files stay as they are.
@functools.lru_cache(maxsize=4)
def space_of(info: BackboneInfo) -> VectorSpace:
    """The fitted space of this backbone's vectors.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return VectorSpace("none") if info.feature_channels is None else load_space(info.name, info.feature_channels)


def fit_square(image: Image.Image) -> NDArray[np.uint8]:
    """``image`` scaled whole into a grey square, uint8 (CROP_PX, CROP_PX, 3).

    Cutting a bottle to its middle would lose the label: padding found 0.56 of the drinks, centre-cropping 0.39.
    """
    scale = CROP_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    square = Image.new("RGB", (CROP_PX, CROP_PX), GREY)
    resized = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    square.paste(resized, ((CROP_PX - size[0]) // 2, (CROP_PX - size[1]) // 2))
    return np.asarray(square)


def crop_vectors(runtime: Runtime, space: VectorSpace, crops: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Photo vectors (N, D) of photos or crops of frames, all in one call."""
    return square_vectors(runtime, space, np.stack([fit_square(crop) for crop in crops]))


def square_vectors(runtime: Runtime, space: VectorSpace, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Photo vectors (N, D) of ``squares`` (N, CROP_PX, CROP_PX, 3) as ``fit_square`` makes them."""
    return space.vectors(runtime.features(squares).mean(axis=(2, 3)))
