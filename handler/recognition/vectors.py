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


def hellinger(averages: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square roots of averaged features (N, C), each row with norm 1.

    The inner product of two rows is then the Bhattacharyya coefficient of the averages, which a few strong features
    cannot dominate: on the drinks of the evaluation 0.67 of the photos found their product by one photo, 0.65 without
    the root.
    """
    roots = np.sqrt(np.maximum(averages, 0.0))
    return _normalised(roots.astype(np.float32))


@dataclass(frozen=True)
class VectorSpace:
    """Where the vectors of one backbone are compared.

    What turning, blur, a hand and another background change in a photo's features tells nothing of the product: along
    the directions in which they change most, the vectors count least (within-class covariance normalisation, Hatch and
    others, Interspeech 2006). ``mean`` (C,) and ``axes`` (C, D) were fitted by ``scripts/fit_projection.py``; a
    backbone without them is compared as it is.
    """

    name: str
    mean: NDArray[np.float32] | None = None
    axes: NDArray[np.float32] | None = None

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
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_projection.py") from error
    if mean.shape != (channels,) or axes.ndim != 2 or len(axes) != channels:
        raise ConfigurationError(f"{path}: is for {len(mean)} channels, {backbone} has {channels}")
    return VectorSpace(hashlib.sha256(content).hexdigest()[:8], mean, axes)


def save_space(backbone: str, mean: NDArray[np.float32], axes: NDArray[np.float32]) -> Path:
    """Write ``mean`` (C,) and ``axes`` (C, D) where ``load_space`` looks."""
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{backbone}.npz"
    np.savez(path, mean=mean.astype(np.float16), axes=axes.astype(np.float16))
    return path


def _normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    return normalised
