"""Codes of photo views, short enough that a query is compared with 300,000 of them in half a millisecond.

Vectors are reduced to their principal axes, rotated at random so that every pair of dimensions carries about the same,
and each pair becomes 4 bits. FAISS compares 32 codes at a time with tables that stay in registers (André, Kermarrec and
Le Scouarnec, VLDB 2015). Nothing is left out beforehand, as with inverted lists: on 300,000 vectors with the spectrum
of real ones, lists had to be searched for longer than all codes take to find as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from recognition.errors import SnapshotError
from recognition.gallery_codes import (
    SEED,
    Fetch,
    Rows,
    array,
    encode_rows,
    fits,
    places_before,
    principal_axes,
    reduce,
    sample_rows,
    use_threads,
)

PREFIX = "ann_photo_"
#: Of 1,280 dimensions: with 256, twice as many candidates had to be held against the whole vectors.
_DIMENSIONS = 320
_DIMENSIONS_A_CODE = 2
_BITS = 4
_AXES_SAMPLE = 32_768
_CODE_SAMPLE = 16_384
_ROUNDS = 12


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
        if not any(name.startswith(PREFIX) for name in extra):
            return None
        basis = array(extra, f"{PREFIX}basis", np.float32, (dimensions, -1))
        reduced = basis.shape[1]
        if not reduced or reduced % 4:
            raise SnapshotError(f"array {PREFIX}basis: {reduced} columns, expected a multiple of 4")
        parts = reduced // _DIMENSIONS_A_CODE
        return cls(
            basis=basis,
            centroids=array(extra, f"{PREFIX}centroids", np.float32, (parts, 1 << _BITS, _DIMENSIONS_A_CODE)),
            codes=array(extra, f"{PREFIX}codes", np.uint8, (views, parts // 2)),
            fitted_to=int(array(extra, f"{PREFIX}fitted_to", np.int64, (1,))[0]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What ``from_arrays`` reads."""
        return {
            f"{PREFIX}basis": self.basis,
            f"{PREFIX}centroids": self.centroids,
            f"{PREFIX}codes": self.codes,
            f"{PREFIX}fitted_to": np.array([self.fitted_to], dtype=np.int64),
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


def build(
    fetch: Fetch, rows: Rows, dimensions: int, *, before: tuple[PhotoCodes, Rows] | None, threads: int
) -> PhotoCodes:
    """Codes of all rows, with the tables of ``before`` where they still fit."""
    use_threads(threads)
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
