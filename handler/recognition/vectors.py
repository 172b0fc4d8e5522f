"""Photo vectors: how averaged features become something whose inner product tells how alike two products look."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.errors import ConfigurationError

_FOLDER = Path(__file__).with_name("projections")
_ARRAYS = ("mean", "axes", "background_mean", "background_axes", "background_rest")


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
    """How vectors of parts of frames that show no product are spread, as a normal distribution.

    ``mean`` (D,); ``axes`` (D, r): its main directions, each as long as its standard deviation; ``rest``: the variance
    along every other direction.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    rest: float

    def salience(self, similarity: NDArray[np.float32], views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standard deviations (N,) by which ``similarity`` (N,) to ``views`` (N, D) is above that of backgrounds.

        Some photos resemble everything a little, and would draw every look to the same curtain (score normalisation
        by impostors, Z-norm: Auckenthaler and others, Digital Signal Processing 2000).
        """
        lengths = np.maximum(np.linalg.norm(self.axes, axis=0), 1e-9)
        along = views @ self.axes
        others = np.maximum(1.0 - np.square(along / lengths).sum(axis=1), 0.0)
        variance = np.square(along).sum(axis=1) + self.rest * others
        result: NDArray[np.float32] = (similarity - views @ self.mean) / np.sqrt(np.maximum(variance, 1e-9))
        return result


@dataclass(frozen=True)
class VectorSpace:
    """Where the vectors of one backbone are compared.

    What turning, blur, a hand and another background change in a photo's features tells nothing of the product: along
    the directions in which they change most, the vectors count least (within-class covariance normalisation, Hatch and
    others, Interspeech 2006). ``mean`` (C,) and ``axes`` (C, D) were fitted by ``scripts/fit_projection.py``; a
    backbone without them is compared as it is. ``background`` was fitted by the same script.
    """

    name: str
    mean: NDArray[np.float32] | None = None
    axes: NDArray[np.float32] | None = None
    background: Background | None = None

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
            mean, axes, *background = (np.asarray(arrays[name], np.float32) for name in _ARRAYS)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_projection.py") from error
    if mean.shape != (channels,) or axes.ndim != 2 or len(axes) != channels:
        raise ConfigurationError(f"{path}: is for {len(mean)} channels, {backbone} has {channels}")
    where, spread, rest = background
    if where.shape != axes.shape[1:] or spread.ndim != 2 or len(spread) != len(where) or rest.shape != ():
        raise ConfigurationError(f"{path}: its background is of another space; run scripts/fit_projection.py")
    # The background changes no vector, so that snapshots need not be made anew for it.
    name = hashlib.sha256(mean.tobytes() + axes.tobytes()).hexdigest()[:8]
    return VectorSpace(name, mean, axes, Background(where, spread, float(rest)))


def save_space(backbone: str, mean: NDArray[np.float32], axes: NDArray[np.float32], background: Background) -> Path:
    """Write ``mean`` (C,), ``axes`` (C, D) and the ``background`` where ``load_space`` looks."""
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{backbone}.npz"
    half = np.float16
    np.savez(
        path,
        mean=mean.astype(half),
        axes=axes.astype(half),
        background_mean=background.mean.astype(half),
        background_axes=background.axes.astype(half),
        background_rest=np.array(background.rest, half),
    )
    return path


def _normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    return normalised
