"""The photos of a catalog, searched: the nearest photo vectors, and votes of local features.

Exact while that is cheap; above, FAISS indexes that a snapshot carries ready to use.
"""

from __future__ import annotations

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from recognition.local_features import unpack
from recognition.snapshot import Snapshot
from recognition.snapshot_write import SnapshotContents

Effort = Literal["coarse", "fine"]

_VIEWS = "ann_views"
_LOCALS = "ann_locals"
#: Views up to which one product of matrices finds the nearest: 700 windows then take about 10 ms on one core.
_EXACT_VIEWS = 4000
#: Principal components that the index keeps, and inverted lists for each root of a view.
_COMPONENTS = 192
_LISTS_PER_ROOT = 4
#: Inverted lists looked into. A window only has to point at a region; a crop has to name the product.
_PROBES: dict[Effort, int] = {"coarse": 1, "fine": 48}
#: Neighbours of the index that are compared exactly, for each one wanted.
_RERANKED = 6
#: Local features up to which frames vote for photos: 1.5 million take 200 MB in every worker. Beyond, vectors and text
#: alone choose the photos that print is compared with.
_MOST_LOCALS = 1_500_000
_LOCAL_LIST = 300
_LOCAL_PROBES = 8
_NEIGHBOURS = 5
_TRAINED_ON = 60_000


class PhotoIndex:
    """Nearest photo views by inner product."""

    def __init__(self, snapshot: Snapshot, index: faiss.Index | None) -> None:
        """Search ``snapshot``'s views by ``index``, or exactly where there is none."""
        self._views = snapshot.view_vectors
        self._owner = snapshot.photo_product[snapshot.view_photo]
        self._index = index
        #: Empty where an index does the work: 100,000 products' views would take a gigabyte.
        self._matrix = (self._views if index is None else self._views[:0]).astype(np.float32)

    @classmethod
    def open(cls, snapshot: Snapshot) -> PhotoIndex:
        """The index that the snapshot carries, or exact search in a small one."""
        return cls(snapshot, _opened(snapshot, _VIEWS))

    def search(
        self, queries: NDArray[np.float32], *, count: int, allowed: NDArray[np.bool_] | None, effort: Effort
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores (Q, count) and rows of views (Q, count) for unit ``queries`` (Q, D), best first.

        Only views of products in the mask ``allowed`` (P,) are found; where there are fewer, -inf and -1.
        """
        permitted = None if allowed is None or allowed.all() else allowed[self._owner]
        if self._index is None:
            return self._exact(queries, count, permitted)
        return self._approximate(self._index, queries, count, permitted, effort)

    def _exact(
        self, queries: NDArray[np.float32], count: int, permitted: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scores = queries @ self._matrix.T
        if permitted is not None:
            scores[:, ~permitted] = -np.inf
        if count == 1 and scores.shape[1]:
            rows = scores.argmax(axis=1)[:, None]
        else:
            rows = np.argpartition(-scores, min(count, scores.shape[1]) - 1, axis=1)[:, :count]
        return _ordered(np.take_along_axis(scores, rows, axis=1), rows.astype(np.int64), count)

    def _approximate(
        self,
        index: faiss.Index,
        queries: NDArray[np.float32],
        count: int,
        permitted: NDArray[np.bool_] | None,
        effort: Effort,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        # The bits must outlive the search: FAISS keeps only a pointer to them.
        bits = None if permitted is None else np.packbits(permitted, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        inner = faiss.SearchParametersIVF(sel=selector, nprobe=_PROBES[effort])
        parameters = faiss.SearchParametersPreTransform(index_params=inner)
        wanted = count if effort == "coarse" else count * _RERANKED
        scores, rows = index.search(np.ascontiguousarray(queries), wanted, params=parameters)
        if effort == "fine":
            views = self._views[np.maximum(rows, 0)].astype(np.float32)
            scores = np.einsum("qd,qrd->qr", queries, views)
        return _ordered(np.where(rows >= 0, scores, -np.inf).astype(np.float32), rows, count)


class PrintIndex:
    """Which photos share local features with a frame."""

    def __init__(self, snapshot: Snapshot, index: faiss.Index) -> None:
        """Count votes of ``index`` for ``snapshot``'s photos."""
        self._index = index
        self._photos = len(snapshot.photo_product)
        self._photo = np.repeat(np.arange(self._photos), np.diff(snapshot.local_offsets))

    @classmethod
    def open(cls, snapshot: Snapshot) -> PrintIndex | None:
        """The index that the snapshot carries; None where it has too many features for one, or none."""
        index = _opened(snapshot, _LOCALS)
        return None if index is None else cls(snapshot, index)

    def votes(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Votes (N,) of unit ``descriptors`` (n, 128): a photo gets what its nearest feature has over the fifth."""
        similarity, rows = self._index.search(np.ascontiguousarray(descriptors), _NEIGHBOURS)
        weight = np.where(rows >= 0, np.maximum(similarity - similarity[:, -1:], 0.0), 0.0)
        photo = self._photo[np.maximum(rows, 0)]
        votes = np.zeros(self._photos, dtype=np.float32)
        for place in range(_NEIGHBOURS):
            # A feature votes for a photo once, with its nearest: a pattern of dots would else win every election.
            first = (photo[:, place, None] != photo[:, :place]).all(axis=1)
            np.add.at(votes, photo[first, place], weight[first, place])
        return votes


def build_indexes(contents: SnapshotContents, previous: Snapshot | None) -> dict[str, NDArray[Any]]:
    """Arrays for ``SnapshotContents.extra``.

    What was trained for ``previous`` is used again while the catalog has not doubled or halved: adding and removing
    products then moves vectors in and out of lists and trains nothing.
    """
    arrays: dict[str, NDArray[Any]] = {}
    views = contents.view_vectors
    if len(views) > _EXACT_VIEWS:
        components = min(_COMPONENTS, views.shape[1])
        lists = int(_LISTS_PER_ROOT * np.sqrt(len(views)))
        kind = f"PCA{components},IVF{lists},SQ8"
        arrays[_VIEWS] = _filled(_trained(previous, _VIEWS, kind, views), views)
    locals_ = contents.local_descriptors
    if 0 < len(locals_) <= _MOST_LOCALS:
        lists = max(1, min(len(locals_) // _LOCAL_LIST, 4096))
        arrays[_LOCALS] = _filled(_trained(previous, _LOCALS, f"IVF{lists},SQ8", locals_), locals_)
    return arrays


def _ordered(
    scores: NDArray[np.float32], rows: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    scores, rows = np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
    missing = count - scores.shape[1]
    if missing > 0:
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
        rows = np.pad(rows, ((0, 0), (0, missing)), constant_values=-1)
    return scores, np.where(np.isfinite(scores), rows, -1)


def _opened(snapshot: Snapshot, name: str) -> faiss.Index | None:
    stored = snapshot.extra.get(name)
    if stored is None:
        return None
    # FAISS starts a thread for every core; the other workers have those.
    faiss.omp_set_num_threads(1)
    index = faiss.deserialize_index(np.asarray(stored, dtype=np.uint8))
    if name == _LOCALS:
        index.nprobe = _LOCAL_PROBES
    return index


def _trained(previous: Snapshot | None, name: str, kind: str, rows: NDArray[Any]) -> faiss.Index:
    if previous is not None and name in previous.extra:
        index = faiss.deserialize_index(np.asarray(previous.extra[name], dtype=np.uint8))
        if len(rows) / 2 < index.ntotal < len(rows) * 2:
            index.reset()
            return index
    sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:_TRAINED_ON])
    vectors = _vectors(rows[sample])
    index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    return index


def _filled(index: faiss.Index, rows: NDArray[Any]) -> NDArray[np.uint8]:
    for start in range(0, len(rows), _TRAINED_ON):
        index.add(_vectors(rows[start : start + _TRAINED_ON]))
    stored: NDArray[np.uint8] = faiss.serialize_index(index)
    return stored


def _vectors(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Views as they are, packed local features unpacked; float32, each row in one piece."""
    return np.ascontiguousarray(unpack(rows) if rows.dtype == np.uint8 else rows.astype(np.float32))
