"""What the gallery's indexes keep in a snapshot: reduced, quantised vectors, row by row, and the tables that made them.

Codes stand in the order of the rows they belong to, and hold no numbers of rows: whatever goes out of a catalog goes
out of its codes by leaving rows away. Only new rows are encoded, and the tables are fitted again only when the catalog
has become another one in size. What is in a file is plain arrays, whose shapes say whether they can be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from recognition.errors import SnapshotError

SEED = 20_240_517
_ROWS_AT_ONCE = 16_384
#: Tables serve catalogs of half to twice the size of the one that they were fitted to.
_OUTGROWN = 2.0

Fetch = Callable[[NDArray[np.int64]], NDArray[np.float32]]
Encode = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of photos: those of photo n are ``offsets[n]`` to ``offsets[n + 1]``; ``digests`` uint8 (N, 32)."""

    digests: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Rows of all photos."""
        return int(self.offsets[-1])


def use_threads(threads: int) -> None:
    """How many threads FAISS may use for what the calling thread asks of it.

    To be called in front of each search: OpenMP keeps the number for each thread, a new one starts with all cores.
    """
    faiss.omp_set_num_threads(threads)


def fits(size: int, fitted_to: int) -> bool:
    """Whether tables fitted to ``fitted_to`` rows still serve ``size``."""
    return fitted_to / _OUTGROWN < size < fitted_to * _OUTGROWN


def places_before(now: Rows, before: Rows) -> NDArray[np.int64]:
    """(rows now,) the row before with the same features, -1 for a new one.

    Features follow from a photo's bytes, so that any photo with the same digest will do, whatever product it shows.
    """
    photos = {digest.tobytes(): photo for photo, digest in enumerate(before.digests)}
    same = np.array([photos.get(digest.tobytes(), -1) for digest in now.digests], dtype=np.int64)
    counts = np.diff(now.offsets)
    known = same >= 0
    known[known] = np.diff(before.offsets)[same[known]] == counts[known]
    shift = np.zeros(len(same), dtype=np.int64)
    shift[known] = before.offsets[same[known]] - now.offsets[:-1][known]
    places = np.arange(now.count, dtype=np.int64) + np.repeat(shift, counts)
    return np.where(np.repeat(known, counts), places, -1)


def encode_rows(
    fetch: Fetch, encode: Encode, count: int, *, places: NDArray[np.int64] | None, known: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Codes of rows 0 to ``count`` - 1: ``known[places]`` where there are any, the rest encoded some at a time."""
    if places is None or known is None:
        places = np.full(count, -1, dtype=np.int64)
        known = encode(fetch(np.zeros(0, dtype=np.int64)))
    codes = np.empty((count, known.shape[1]), dtype=np.uint8)
    kept = np.flatnonzero(places >= 0)
    codes[kept] = known[places[kept]]
    new = np.flatnonzero(places < 0)
    for first in range(0, len(new), _ROWS_AT_ONCE):
        rows = new[first : first + _ROWS_AT_ONCE]
        codes[rows] = encode(fetch(rows))
    return codes


def sample_rows(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` rows, ascending, the same ones each time."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False)).astype(np.int64)


def principal_axes(sample: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(D, count) the axes that hold most of a sample's (n, D) squares, not centred: inner products are to be kept."""
    _, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1][:, :count], dtype=np.float32)


def reduce(vectors: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) of (n, D), with norm 1 again.

    How much of a vector a basis fitted to other pictures holds says nothing of what it shows: left in, it took drinks
    from 0.80 right to 0.65 in 128 dimensions.
    """
    reduced = vectors @ basis
    normalised: NDArray[np.float32] = reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-9)
    return normalised


def array(
    extra: Mapping[str, NDArray[Any]], name: str, dtype: type[np.generic], shape: tuple[int, ...]
) -> NDArray[Any]:
    """``extra[name]``, whose shape must be ``shape`` (-1: any length).

    Raises:
        SnapshotError: it is missing, or of another type or shape.
    """
    found = extra.get(name)
    if found is None:
        raise SnapshotError(f"no array {name}")
    sides = len(found.shape) == len(shape) and all(b in (-1, a) for a, b in zip(found.shape, shape, strict=True))
    if found.dtype != dtype or not sides:
        raise SnapshotError(
            f"array {name}: {found.dtype} {list(found.shape)}, expected {np.dtype(dtype)} {list(shape)}"
        )
    return found
