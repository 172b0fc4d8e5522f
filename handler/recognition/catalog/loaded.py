"""A snapshot with everything opened that frames are matched with; swapped whole when another one comes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.classify.labels import LabelSet
from recognition.errors import SnapshotError
from recognition.index.photo_index import PhotoIndex
from recognition.keypoints.votes import KeypointIndex
from recognition.product import CatalogProduct
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.text.index import TextIndex
from recognition.text.lexicon import load_lexicon, normalize

NAMES_PREFIX = "text_name_"
PACKAGING_PREFIX = "text_print_"
#: Products whose concepts are kept.
_CONCEPTS_AT_HAND = 4096


@dataclass(frozen=True, eq=False)
class LoadedCatalog:
    """P products and N photos. ``names`` has a document for each product, ``packaging`` one for each photo.

    ``label_classes`` and ``label_products`` (n,) pair classes of the network with products that name them.
    """

    snapshot: Snapshot
    photo_index: PhotoIndex
    keypoint_index: KeypointIndex | None
    names: TextIndex
    packaging: TextIndex
    has_photos: NDArray[np.bool_]
    label_classes: NDArray[np.intp]
    label_products: NDArray[np.intp]
    sold_out: frozenset[str]
    negatives: Negatives

    @property
    def with_photos(self) -> bool:
        return len(self.snapshot.photo_product) > 0

    def views_of(self, product: int) -> NDArray[np.float16]:
        """Vectors (V, D) of all views of one product's photos."""
        photos = np.searchsorted(self.snapshot.photo_product, [product, product + 1])
        first, end = np.searchsorted(self.snapshot.view_photo, photos)
        return self.snapshot.view_vectors[first:end]

    @functools.cached_property
    def concepts_of(self) -> Callable[[int], frozenset[str]]:
        """Concepts of the lexicon that a product's name, brand, words or photos name."""
        return functools.lru_cache(maxsize=_CONCEPTS_AT_HAND)(self._concepts_of)

    def _concepts_of(self, product: int) -> frozenset[str]:
        entry = self.snapshot.product(product)
        photos = range(*np.searchsorted(self.snapshot.photo_product, [product, product + 1]).tolist())
        printed = [text for photo in photos for text, _ in self.snapshot.lines(photo)]
        lexicon = load_lexicon()
        texts = [entry.name, entry.brand or "", *entry.words, *printed]
        return frozenset(concept for text in texts for concept, *_ in lexicon.concepts(normalize(text)))

    def known_by_label(self) -> list[CatalogProduct]:
        """Products that a label alone may show: those with labels and without photos."""
        rows = np.unique(self.label_products)
        return [self.snapshot.product(int(row)) for row in rows if not self.has_photos[row]]


def open_catalog(
    path: Path, *, fingerprint: str | None, labels: LabelSet, allowed_hosts: Sequence[str]
) -> LoadedCatalog:
    """Open a snapshot for matching.

    Raises:
        SnapshotError: it cannot be used, and why.
    """
    snapshot = open_snapshot(path, fingerprint=fingerprint, allowed_hosts=allowed_hosts)
    try:
        names = TextIndex.from_arrays(snapshot.extra, NAMES_PREFIX, documents=snapshot.products)
        packaging = TextIndex.from_arrays(snapshot.extra, PACKAGING_PREFIX, documents=snapshot.photos)
    except KeyError as error:
        raise SnapshotError(f"{path}: the text index is missing: {error}") from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error
    has_photos = np.zeros(snapshot.products, dtype=np.bool_)
    has_photos[snapshot.photo_product] = True
    indices = labels.indices()
    pairs = [
        (index, row)
        for row in range(snapshot.products)
        for label in snapshot.product(row).labels
        for index in indices.get(label, ())
    ]
    negative_rows = negative_rows_of(snapshot.product, snapshot.products)
    sold_out = set(np.flatnonzero(snapshot.stock_state == 0).tolist()) - set(negative_rows.values())
    return LoadedCatalog(
        snapshot=snapshot,
        photo_index=PhotoIndex.open(snapshot),
        keypoint_index=KeypointIndex.open(snapshot),
        names=names,
        packaging=packaging,
        has_photos=has_photos,
        label_classes=np.array([pair[0] for pair in pairs], dtype=np.intp),
        label_products=np.array([pair[1] for pair in pairs], dtype=np.intp),
        sold_out=frozenset(snapshot.product(row).sku for row in sold_out),
        negatives=Negatives(
            negative_rows, near_duplicates_of(negative_rows, snapshot.photo_product, snapshot.photo_digest)
        ),
    )


def negative_rows_of(product_at: Callable[[int], CatalogProduct], count: int) -> dict[int, int]:
    """Rows of products with negative examples, each with the row of those, of a snapshot's ``count`` rows."""
    negative_row_of: dict[str, int] = {}
    row = count - 1
    while row >= 0 and (owner := product_at(row).negative_of) is not None:
        negative_row_of[owner] = row
        row -= 1
    if not negative_row_of:
        return {}
    skus = {product_at(row).sku: row for row in range(row + 1)}
    return {skus[owner]: negative_row for owner, negative_row in negative_row_of.items() if owner in skus}


def near_duplicates_of(
    negative_rows: Mapping[int, int], photo_product: NDArray[np.int32], photo_digest: NDArray[np.uint8]
) -> dict[int, frozenset[int]]:
    """Products one of whose own photos (N,), by digest (N, 32), is a negative example of the key's."""
    if not negative_rows:
        return {}
    digests = np.ascontiguousarray(photo_digest).view("V32").ravel()
    hidden = np.isin(photo_product, list(negative_rows.values()))
    near_duplicates = {}
    for product, negative_row in negative_rows.items():
        owners = photo_product[np.isin(digests, digests[photo_product == negative_row]) & ~hidden]
        near_duplicates[product] = frozenset(owners.tolist()) - {product}
    return near_duplicates


@dataclass(frozen=True)
class Negatives:
    """Negative examples of a catalog, as ``negative_rows_of`` and ``near_duplicates_of`` find them."""

    negative_rows: Mapping[int, int]
    near_duplicates: Mapping[int, frozenset[int]]
