"""Codes of the indexes in a snapshot: reduced, quantised vectors, row by row, and the tables that made them.

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
_PREFIX = "ann_photo_"
#: Of 1,280 dimensions: with 256, twice as many candidates had to be held against the whole vectors.
_DIMENSIONS = 320
_DIMENSIONS_A_CODE = 2
_BITS = 4
_AXES_SAMPLE = 32_768
_CODE_SAMPLE = 16_384
_ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of photos: those of photo n are ``offsets[n]`` to ``offsets[n + 1]``; ``digests`` uint8 (N, 32)."""

    digests: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @property
    def count(self) -> int:
        return int(self.offsets[-1])


def use_threads(threads: int) -> None:
    """Bound FAISS's threads for the calling thread.

    To be called in front of each search: OpenMP keeps the number for each thread, a new one starts with all cores.
    """
    faiss.omp_set_num_threads(threads)


def fits(size: int, fitted_to: int) -> bool:
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


@dataclass(frozen=True, eq=False)
class PhotoCodes:
    """``codes`` uint8 (V, d / 4) of V views; ``basis`` (D, d); ``centroids`` (d / 2, 16, 2): what the 4 bits stand for.

    ``fitted_to``: how many views the tables were fitted to.
    """

    basis: NDArray[np.float32]
    centroids: NDArray[np.float32]
    codes: NDArray[np.uint8]
    fitted_to: int

    @classmethod
    def from_arrays(cls, extra: Mapping[str, NDArray[Any]], *, views: int, dimensions: int) -> PhotoCodes | None:
        """The codes in a snapshot's ``extra`` arrays, None where it has none.

        Raises:
            SnapshotError: an array is missing, or does not fit the V ``views`` of D ``dimensions``.
        """
        if not any(name.startswith(_PREFIX) for name in extra):
            return None
        basis = array(extra, f"{_PREFIX}basis", np.float32, (dimensions, -1))
        reduced = basis.shape[1]
        if not reduced or reduced % 4:
            raise SnapshotError(f"array {_PREFIX}basis: {reduced} columns, expected a multiple of 4")
        parts = reduced // _DIMENSIONS_A_CODE
        return cls(
            basis=basis,
            centroids=array(extra, f"{_PREFIX}centroids", np.float32, (parts, 1 << _BITS, _DIMENSIONS_A_CODE)),
            codes=array(extra, f"{_PREFIX}codes", np.uint8, (views, parts // 2)),
            fitted_to=int(array(extra, f"{_PREFIX}fitted_to", np.int64, (1,))[0]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            f"{_PREFIX}basis": self.basis,
            f"{_PREFIX}centroids": self.centroids,
            f"{_PREFIX}codes": self.codes,
            f"{_PREFIX}fitted_to": np.array([self.fitted_to], dtype=np.int64),
        }


class CodeScan:
    """Compares queries with the codes of ``rows`` (n,), ascending; in memory of 2 bits a row and dimension."""

    def __init__(self, codes: PhotoCodes, rows: NDArray[np.int64], *, threads: int) -> None:
        self.rows = rows
        self._basis = codes.basis
        self._threads = threads
        use_threads(threads)
        self._index = faiss.IndexPQFastScan(_filled(codes, rows))
        # It points into the plain form, which ends here, and never looks there unless told to.
        self._index.orig_codes = None

    def nearest(self, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """(U,) rows that are among the ``count`` nearest of any query (Q, D), ascending, each once."""
        use_threads(self._threads)
        _, found = self._index.search(reduce(queries, self._basis), min(count, len(self.rows)))
        places: NDArray[np.int64] = np.unique(found)
        return self.rows[places[places >= 0]]


def build_photo_codes(
    fetch: Fetch, rows: Rows, dimensions: int, *, before: tuple[PhotoCodes, Rows] | None
) -> PhotoCodes:
    """Codes of all rows, with the tables of ``before`` where they still fit."""
    if before is not None and fits(rows.count, before[0].fitted_to):
        tables, places = before[0], places_before(rows, before[1])
        known: NDArray[np.uint8] | None = tables.codes
    else:
        tables, places, known = _fit(fetch, rows.count, dimensions), None, None
    quantiser = _quantiser(tables)

    def encode(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        codes: NDArray[np.uint8] = quantiser.compute_codes(reduce(vectors, tables.basis))
        return codes

    codes = encode_rows(fetch, encode, rows.count, places=places, known=known)
    return PhotoCodes(tables.basis, tables.centroids, codes, tables.fitted_to)


def _fit(fetch: Fetch, count: int, dimensions: int) -> PhotoCodes:
    reduced = min(_DIMENSIONS, dimensions // 4 * 4)
    axes = principal_axes(fetch(sample_rows(count, _AXES_SAMPLE)), reduced)
    rotation, _ = np.linalg.qr(np.random.default_rng(SEED).standard_normal((reduced, reduced)))
    basis = np.ascontiguousarray(axes @ rotation.astype(np.float32))
    quantiser = faiss.ProductQuantizer(reduced, reduced // _DIMENSIONS_A_CODE, _BITS)
    quantiser.cp.niter = _ROUNDS
    quantiser.cp.seed = SEED
    quantiser.cp.min_points_per_centroid = 1
    quantiser.train(reduce(fetch(sample_rows(count, _CODE_SAMPLE)), basis))
    centroids = faiss.vector_to_array(quantiser.centroids).reshape(-1, 1 << _BITS, _DIMENSIONS_A_CODE)
    return PhotoCodes(basis, centroids, np.zeros((0, reduced // 4), dtype=np.uint8), count)


def _quantiser(codes: PhotoCodes) -> faiss.ProductQuantizer:
    quantiser = faiss.ProductQuantizer(codes.basis.shape[1], len(codes.centroids), _BITS)
    faiss.copy_array_to_vector(np.ascontiguousarray(codes.centroids).ravel(), quantiser.centroids)
    return quantiser


def _filled(codes: PhotoCodes, rows: NDArray[np.int64]) -> faiss.IndexPQ:
    """The plain form of the index, from which FAISS makes the one that it scans; nothing is encoded again."""
    index = faiss.IndexPQ(codes.basis.shape[1], len(codes.centroids), _BITS, faiss.METRIC_INNER_PRODUCT)
    index.pq = _quantiser(codes)
    index.is_trained = True
    faiss.copy_array_to_vector(np.ascontiguousarray(codes.codes[rows]).ravel(), index.codes)
    index.ntotal = len(rows)
    return index
