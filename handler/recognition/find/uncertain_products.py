"""Finds the products that a catalog cannot be sure of: those like everything, and pairs that nothing tells apart.

Each photo is taken for a frame that shows its product less well than the photo does, and weighed as a frame is: once
against nothing, once against the other product that is most like it.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from contract.uncertain_products import UncertainProduct, UncertainProducts
from recognition.catalog.loaded import LoadedCatalog
from recognition.find.fusion import EvidenceRows, Weights, confidences, features
from recognition.index.vectors import VectorSpace
from recognition.keypoints.colours import NOT_COMPARED, ColourMatch, compare
from recognition.keypoints.extract import LocalFeatures, LocalMatch, match, unpack
from recognition.snapshot.format import CELLS
from recognition.text.index import query_of
from recognition.text.lexicon import load_lexicon, normalize, runs

#: What a frame of a held product has of its photo: the share of its local features, of its text, and how far it stands
#: out beside how far the photo itself does.
_POINTS_SHARE, _TEXT_SHARE, _SALIENCE_SHARE = 0.06, 0.5, 0.45
#: A product is alike where another one is so likely on one of its photos; two of one photo are half as likely each.
_TAKEN_FOR = 0.3
#: Of a product so many photos are held against so many photos of others, most alike first, if they stand out so far
#: (standard deviations; the inner product where no background was fitted): keypoints take long to compare.
_PHOTOS, _RIVALS = 3, 2
_LEAST_SALIENCE, _LEAST_SIMILARITY = 6.0, 0.5
#: Of catalogs with more photos some products are looked at, evenly spread: a build must not take twice its time.
_MOST_PHOTOS = 2_000
#: Written at most.
_MOST_WRITTEN = 500
#: Photos whose nearest are looked for at a time.
_AT_ONCE = 256
#: Pixels of a cell where a photo's mean colours stand in for the photo.
_CELL_PX = 8
_SIDE_PX = float(CELLS * _CELL_PX)
_ITS_OWN_COLOURS = ColourMatch(1.0, 1.0, CELLS * CELLS)


def find_uncertain_products(
    catalog: LoadedCatalog, weights: Weights, space: VectorSpace, *, threshold: float
) -> UncertainProducts:
    """The products of a catalog that their own photos, seen less well, would not show for sure, or another would."""
    examiner = _Examiner(catalog, weights, space)
    rows = _chosen(catalog)
    plain = examiner.plain(rows, threshold)
    # First what shows a wrong card, then what shows none.
    found = [examiner.described_alike(*pair) for pair in examiner.alike(rows).items() if pair[0] not in plain]
    found += [examiner.described_plain(product) for product in plain]
    looked_at = len(np.unique(catalog.snapshot.photo_product[rows]))
    return UncertainProducts(looked_at=looked_at, found=len(found), products=tuple(found[:_MOST_WRITTEN]))


def _chosen(catalog: LoadedCatalog) -> NDArray[np.int64]:
    """Photos of the products to look at, a few of each, ascending."""
    snapshot = catalog.snapshot
    products = np.setdiff1d(np.flatnonzero(catalog.has_photos), list(catalog.negatives.negative_rows.values()))
    products = products[:: max(1, -(-snapshot.photos // _MOST_PHOTOS))]
    first, end = (np.searchsorted(snapshot.photo_product, products, side=side) for side in ("left", "right"))
    each = [np.arange(low, min(high, low + _PHOTOS)) for low, high in zip(first, end, strict=True)]
    return np.concatenate([np.zeros(0, np.int64), *each]).astype(np.int64)


class _Examiner:
    def __init__(self, catalog: LoadedCatalog, weights: Weights, space: VectorSpace) -> None:
        self._catalog = catalog
        self._snapshot = catalog.snapshot
        self._weights = weights
        self._background = space.crops
        self._lexicon = load_lexicon()
        self._hidden = set(catalog.negatives.negative_rows.values())
        self._first_view = np.searchsorted(self._snapshot.view_photo, np.arange(self._snapshot.photos))

    def plain(self, photos: NDArray[np.int64], threshold: float) -> list[int]:
        """Products none of whose ``photos`` would be sure where no other product is."""
        owners = self._snapshot.photo_product[photos]
        sure = {int(photo): self._alone(int(photo), thorough=False) for photo in photos}
        uncertain = set(owners.tolist()) - {
            int(owner) for photo, owner in zip(photos, owners, strict=True) if sure[int(photo)] >= threshold
        }
        # Text and keypoints take longer to compare, and few need it.
        return sorted(
            product
            for product in uncertain
            if max(self._alone(int(photo), thorough=True) for photo in photos[owners == product]) < threshold
        )

    def alike(self, photos: NDArray[np.int64]) -> dict[int, int]:
        """Products for which another one would be shown in a frame like one of their ``photos``, and that one."""
        found: dict[int, int] = {}
        if len(photos) == 0:
            return found
        for some in np.array_split(photos, max(1, -(-len(photos) // _AT_ONCE))):
            for photo, rivals in zip(some, self._rivals(some), strict=True):
                product = int(self._snapshot.photo_product[photo])
                if rivals and product not in found:
                    rival = self._taken_for(int(photo), rivals)
                    found |= {} if rival is None else {product: rival}
        return found

    def described_plain(self, product: int) -> UncertainProduct:
        entry = self._snapshot.product(product)
        return UncertainProduct(sku=entry.sku, name=entry.name, kind="plain")

    def described_alike(self, product: int, rival: int) -> UncertainProduct:
        entry, other = self._snapshot.product(product), self._snapshot.product(rival)
        return UncertainProduct(
            sku=entry.sku,
            name=entry.name,
            kind="alike",
            other_sku=other.sku,
            other_name=other.name,
            same_photo=bool(self._files(product) & self._files(rival)),
            words=self._unread_words(product, rival),
        )

    def _alone(self, photo: int, *, thorough: bool) -> float:
        """Confidence in the photo's product where no other is."""
        rows = self._features(photo, [(photo, 1.0)], thorough=thorough)
        return float(confidences(rows, self._weights)[0])

    def _taken_for(self, photo: int, rivals: Sequence[tuple[int, float]]) -> int | None:
        """The product that a frame like this photo would show in place of its own.

        Its own one is known by its other photos then, if it has any: a photo is always most like itself.
        """
        rows = self._features(photo, [self._own(photo), *rivals], thorough=True)
        sure = confidences(rows, self._weights)[1:]
        best = int(sure.argmax())
        return int(self._snapshot.photo_product[rivals[best][0]]) if sure[best] >= _TAKEN_FOR else None

    def _rivals(self, photos: NDArray[np.int64]) -> list[list[tuple[int, float]]]:
        """Of each the photos most like it, one of each other product, and their similarity (inner product)."""
        wanted = self._snapshot.view_vectors[self._first_view[photos]].astype(np.float32)
        scores, views = self._catalog.photo_index.search(wanted, count=_RIVALS + 1, allowed=None, effort="fine")
        owners = self._snapshot.photo_product
        rivals = []
        for place, photo in enumerate(photos):
            not_rivals = {int(owners[photo]), *self._hidden}
            found = [
                (int(self._snapshot.view_photo[view]), float(score))
                for view, score in zip(views[place], scores[place], strict=True)
                if view >= 0
            ]
            rivals.append(
                [
                    (row, similarity)
                    for row, similarity in found
                    if int(owners[row]) not in not_rivals and self._stands_out(similarity, row)
                ][:_RIVALS]
            )
        return rivals

    def _own(self, photo: int) -> tuple[int, float]:
        """Of the product's other photos the one most like this; itself where it has none."""
        others = [row for row in self._rows(int(self._snapshot.photo_product[photo])) if row != photo]
        if not others:
            return photo, 1.0
        similarity = np.array([self._view(row) @ self._view(photo) for row in others])
        return others[int(similarity.argmax())], float(similarity.max())

    def _features(self, photo: int, shown: Sequence[tuple[int, float]], *, thorough: bool) -> NDArray[np.float32]:
        """Features of the ``shown`` photos' products, with their similarity, in a frame like ``photo``."""
        rows = [row for row, _ in shown]
        products = [int(self._snapshot.photo_product[row]) for row in rows]
        found = [self._match(photo, row) if thorough or row != photo else self._itself(photo) for row in rows]
        colours = [self._colours(photo, row, each) for row, each in zip(rows, found, strict=True)]
        read = query_of(self._snapshot.lines(photo), self._lexicon) if thorough else {}
        names, _ = self._catalog.names.score(read)
        printed, _ = self._catalog.packaging.score(read)
        salience = [self._salience(similarity, row) for row, similarity in shown]
        return features(
            EvidenceRows(
                photo=np.array([similarity for _, similarity in shown], np.float32),
                salience=np.array(salience, np.float32) * _SALIENCE_SHARE,
                points=np.array([each.inliers for each in found], np.float32) * _POINTS_SHARE,
                colours=np.array([each.likeness for each in colours], np.float32),
                pattern=np.array([each.pattern for each in colours], np.float32),
                read_packaging=printed[rows] * _TEXT_SHARE,
                read_name=names[products] * _TEXT_SHARE,
                name_mass=self._catalog.names.mass[products],
                foreign=np.zeros(len(rows), np.float32),
                label=np.zeros(len(rows), np.float32),
                has_photos=np.ones(len(rows), np.bool_),
            )
        )

    def _view(self, row: int) -> NDArray[np.float32]:
        """The vector of the whole photo."""
        view: NDArray[np.float32] = self._snapshot.view_vectors[self._first_view[row]].astype(np.float32)
        return view

    def _salience(self, similarity: float, row: int) -> float:
        if self._background is None:
            return similarity
        mean, spread = self._background.moments(self._view(row)[None])
        return float((similarity - mean[0]) / spread[0])

    def _stands_out(self, similarity: float, row: int) -> bool:
        if self._background is None:
            return similarity >= _LEAST_SIMILARITY
        return self._salience(similarity, row) * _SALIENCE_SHARE >= _LEAST_SALIENCE

    def _itself(self, photo: int) -> LocalMatch:
        """About the result of a thorough match with itself."""
        return LocalMatch(int(np.diff(self._snapshot.local_offsets[photo : photo + 2])[0]), None, None, None)

    def _match(self, photo: int, row: int) -> LocalMatch:
        frame, other = self._local(photo), self._local(row)
        seen = LocalFeatures(
            self._snapshot.local_xy[frame].astype(np.float32) * _SIDE_PX,
            unpack(self._snapshot.local_descriptors[frame]),
        )
        xy = self._snapshot.local_xy[other].astype(np.float32)
        [found] = match(seen, xy, self._snapshot.local_descriptors[other], np.array([0, len(xy)]))
        return found

    def _local(self, row: int) -> slice:
        return slice(int(self._snapshot.local_offsets[row]), int(self._snapshot.local_offsets[row + 1]))

    def _colours(self, photo: int, row: int, found: LocalMatch) -> ColourMatch:
        if row == photo:
            return _ITS_OWN_COLOURS
        if found.matrix is None or found.in_photo is None:
            return NOT_COMPARED
        frame = self._snapshot.photo_cells[photo].repeat(_CELL_PX, axis=0).repeat(_CELL_PX, axis=1)
        return compare(self._snapshot.photo_cells[row], frame, found.matrix, found.in_photo)

    def _rows(self, product: int) -> range:
        first, end = np.searchsorted(self._snapshot.photo_product, [product, product + 1])
        return range(int(first), int(end))

    def _files(self, product: int) -> set[bytes]:
        return {self._snapshot.photo_digest[row].tobytes() for row in self._rows(product)}

    def _unread_words(self, product: int, rival: int) -> tuple[str, ...]:
        """Parts of the product's name that the rival's lacks and that no photo of the product shows."""
        own, other = (normalize(self._snapshot.product(row).name) for row in (product, rival))
        read = "\n".join(normalize(text) for row in self._rows(product) for text, _ in self._snapshot.lines(row))
        return tuple(part for run in runs(own) for part in _without_common(run, other) if part not in read)


def _without_common(run: str, other: str) -> list[str]:
    """Parts of ``run`` that ``other`` does not have; a single character with the next one."""
    steps = SequenceMatcher(None, run, other, autojunk=False).get_opcodes()
    return [run[start : max(end, start + 2)] for kind, start, end, *_ in steps if kind in {"delete", "replace"}]
