"""The photos of a catalog: which views are nearest to a query, at any size of catalog.

Few views are compared as they are. Of many, short codes choose candidates, and the views themselves decide: scores are
always inner products with the views in the snapshot, and differ by effort or size only in which views were looked at.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from recognition.errors import SnapshotError
from recognition.index.codes import CodeScan, PhotoCodes, use_threads
from recognition.snapshot.read import Snapshot

Effort = Literal["coarse", "fine"]

#: Up to here all views are compared: 20 MB at 1,280 dimensions.
EXACT_VIEWS = 4_000
#: With more views than this, so many windows that differ from each other look for the candidates of all. The windows of
#: a pass overlap: what is nearest to one is near to another. Over 16 generated frames and 300,000 views, the scores of
#: the 20 best windows fell 0.017 short in 5.5 ms; inverted lists, asked for each window, 0.033 in 9 ms, 0.018 in 17 ms.
_COARSE_DIRECT_VIEWS = 1_500
_SPREAD = 8
_COARSE_CANDIDATES = 8
_FINE_CANDIDATES = 512
_FINE_AT_ONCE = 4
#: Rooms whose views are kept at hand.
_SUBSETS = 8
#: So few rows stay in a core's cache from one step to the next.
_CONVERTED_AT_ONCE = 128
_SIGN_EXPONENT_FRACTION = np.int32(0x8FFFE000 - (1 << 32))
_EXPONENT_ZEROS = np.float32(2.0 ** (127 - 15))


class _Candidates(Protocol):
    """``rows`` (n,) of views, ascending, and what finds the nearest of them."""

    rows: NDArray[np.int64]

    def nearest(self, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]: ...


class HalfVectors:
    """Rows of the mapped float16 views as float32."""

    def __init__(self, vectors: NDArray[np.float16]) -> None:
        self._vectors = vectors

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        converted = np.empty((len(rows), self._vectors.shape[1]), dtype=np.float32)
        for first in range(0, len(rows), _CONVERTED_AT_ONCE):
            _convert(self._vectors[rows[first : first + _CONVERTED_AT_ONCE]], converted[first:])
        return converted

    def similarity(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(Q, U) inner products of queries with rows, none of which is kept for longer than it takes."""
        similarity = np.empty((len(queries), len(rows)), dtype=np.float32)
        converted = np.empty((_CONVERTED_AT_ONCE, self._vectors.shape[1]), dtype=np.float32)
        for first in range(0, len(rows), _CONVERTED_AT_ONCE):
            some = rows[first : first + _CONVERTED_AT_ONCE]
            _convert(self._vectors[some], converted)
            similarity[:, first : first + len(some)] = queries @ converted[: len(some)].T
        return similarity


def _convert(halves: NDArray[np.float16], singles: NDArray[np.float32]) -> None:
    """Fill the first rows of ``singles`` with ``halves``, which are finite; six times as fast as numpy's own way.

    The bits of both types stand in the same order: the sign, the exponent, the fraction. Moved into their places, they
    make the same number but for the exponents' different zeros, 15 and 127.
    """
    bits = singles[: len(halves)].view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    # The sign was copied to the left of the exponent, where it must stand only once.
    np.bitwise_and(bits, _SIGN_EXPONENT_FRACTION, out=bits)
    np.multiply(singles[: len(halves)], _EXPONENT_ZEROS, out=singles[: len(halves)])


class _Exact:
    """Compares queries with the views themselves: held if they are few, else converted some at a time."""

    def __init__(self, vectors: HalfVectors, rows: NDArray[np.int64]) -> None:
        self.rows = rows
        self.held = vectors(rows) if len(rows) <= EXACT_VIEWS else None
        self._vectors = vectors

    def nearest(self, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """As of ``CodeScan``."""
        best = np.zeros((len(queries), 0), dtype=np.float32)
        kept = np.zeros((len(queries), 0), dtype=np.int64)
        for first in range(0, len(self.rows), EXACT_VIEWS):
            rows = self.rows[first : first + EXACT_VIEWS]
            scores = self._vectors.similarity(queries, rows) if self.held is None else queries @ self.held.T
            best = np.hstack([best, scores])
            kept = np.hstack([kept, np.broadcast_to(rows, scores.shape)])
            if best.shape[1] > count:
                top = np.argpartition(-best, count - 1, axis=1)[:, :count]
                best, kept = np.take_along_axis(best, top, axis=1), np.take_along_axis(kept, top, axis=1)
        found: NDArray[np.int64] = np.unique(kept)
        return found


class PhotoIndex:
    """Nearest views of a snapshot's photos by inner product. Any number of threads may search at once."""

    def __init__(self, snapshot: Snapshot, codes: PhotoCodes | None, *, threads: int) -> None:
        self._threads = threads
        self._products = snapshot.photo_product[snapshot.view_photo]
        self._vectors = HalfVectors(snapshot.view_vectors)
        self._codes = codes
        self._all = self._open(np.arange(len(self._products), dtype=np.int64))
        self._subsets: OrderedDict[bytes, _Candidates] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, snapshot: Snapshot, *, threads: int = 1) -> PhotoIndex:
        """Make a snapshot's views searchable; without codes in it all of them are compared, however many.

        Raises:
            SnapshotError: its codes do not fit its views.
        """
        use_threads(threads)
        views, dimensions = snapshot.view_vectors.shape
        try:
            codes = PhotoCodes.from_arrays(snapshot.extra, views=views, dimensions=dimensions)
        except SnapshotError as error:
            raise SnapshotError(f"{snapshot.path}: {error}") from error
        return cls(snapshot, codes, threads=threads)

    def search(
        self, queries: NDArray[np.float32], *, count: int, allowed: NDArray[np.bool_] | None, effort: Effort
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The products nearest to each query (Q, D), each by its best view, best first.

        ``allowed`` (P,) tells which of the P products may be found. ``coarse`` is for many queries that resemble each
        other, the windows of a frame. Returns scores (Q, count) and rows of views (Q, count): -inf and -1 where fewer
        products were looked at.
        """
        scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
        views = np.full((len(queries), count), -1, dtype=np.int64)
        subset = self._subset(allowed)
        if len(subset.rows) == 0 or len(queries) == 0 or count == 0:
            return scores, views
        use_threads(self._threads)
        at_once = len(queries)
        if effort == "fine" and not _held(subset):
            at_once = _FINE_AT_ONCE
        for first in range(0, len(queries), at_once):
            some = slice(first, first + at_once)
            rows, similarity = self._compare(subset, queries[some], count, effort)
            if not len(rows):  # codes that lie nowhere near
                continue
            _rank(similarity, rows, self._products[rows], scores[some], views[some])
        return scores, views

    def _compare(
        self, subset: _Candidates, queries: NDArray[np.float32], count: int, effort: Effort
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows (U,), ascending, that each of the queries is held against, and their inner products (Q, U)."""
        coarse = effort == "coarse" and len(queries) > _SPREAD and len(subset.rows) > _COARSE_DIRECT_VIEWS
        if isinstance(subset, _Exact) and subset.held is not None and not coarse:
            return subset.rows, queries @ subset.held.T
        if coarse:
            wanted = max(_COARSE_CANDIDATES, count)
            rows = subset.nearest(queries[_spread(queries, _SPREAD)], wanted)
        else:
            rows = subset.nearest(queries, max(_FINE_CANDIDATES, 8 * count))
        return rows, self._vectors.similarity(queries, rows)

    def _subset(self, allowed: NDArray[np.bool_] | None) -> _Candidates:
        """The views of the allowed products, kept from one frame of a room to the next."""
        if allowed is None or allowed.all():
            return self._all
        key = np.packbits(allowed).tobytes()
        with self._lock:
            subset = self._subsets.get(key)
            if subset is not None:
                self._subsets.move_to_end(key)
                return subset
        # Opened outside of the lock: two threads may do it twice, but none waits for another room's.
        subset = self._open(np.flatnonzero(allowed[self._products]))
        with self._lock:
            self._subsets[key] = subset
            while len(self._subsets) > _SUBSETS:
                self._subsets.popitem(last=False)
        return subset

    def _open(self, rows: NDArray[np.int64]) -> _Candidates:
        if self._codes is None or len(rows) <= EXACT_VIEWS:
            return _Exact(self._vectors, rows)
        return CodeScan(self._codes, rows, threads=self._threads)


def _held(subset: _Candidates) -> bool:
    return isinstance(subset, _Exact) and subset.held is not None


def _spread(queries: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Indices of ``count`` queries such that each of the others has one near it, as far as the greedy way gets."""
    squares = np.einsum("qd,qd->q", queries, queries)
    # From the query furthest from the average of all.
    chosen = [int(np.argmax(squares - 2 * (queries @ queries.mean(axis=0))))]
    distance = np.full(len(queries), np.inf, dtype=np.float32)
    while len(chosen) < count:
        last = chosen[-1]
        distance = np.minimum(distance, squares + squares[last] - 2 * (queries @ queries[last]))
        chosen.append(int(np.argmax(distance)))
    return np.array(chosen, dtype=np.intp)


def _rank(
    similarity: NDArray[np.float32],
    rows: NDArray[np.int64],
    products: NDArray[np.int32],
    scores: NDArray[np.float32],
    views: NDArray[np.int64],
) -> None:
    """Fill ``scores`` and ``views`` (Q, count) from the similarities (Q, U) of rows whose products do not decrease."""
    starts = np.flatnonzero(np.diff(products, prepend=-1))
    lengths = np.diff(starts, append=len(products))
    best = np.maximum.reduceat(similarity, starts, axis=1)
    count = min(scores.shape[1], len(starts))
    top = best.argmax(axis=1)[:, None] if count == 1 else np.argsort(-best, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(best, top, axis=1)
    places = starts[top]
    for step in range(1, int(lengths.max())):
        further = np.minimum(starts[top] + step, len(rows) - 1)
        better = (step < lengths[top]) & (np.take_along_axis(similarity, further, axis=1) == chosen)
        reached = np.take_along_axis(similarity, places, axis=1) == chosen
        places = np.where(better & ~reached, further, places)
    scores[:, :count] = chosen
    views[:, :count] = rows[places]
