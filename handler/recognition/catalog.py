"""A snapshot with everything opened that frames are matched with; swapped whole when another one comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.errors import SnapshotError
from recognition.gallery import PhotoIndex, PrintIndex, build_indexes
from recognition.labels import LabelSet
from recognition.links import LinkedProduct
from recognition.negatives import Doubts, shadows_of, twins_of
from recognition.photo_features import CELLS, DESCRIPTOR_BYTES
from recognition.snapshot import Snapshot, open_snapshot
from recognition.snapshot_format import DIGEST_BYTES
from recognition.snapshot_write import SnapshotContents
from recognition.text.documents import name_document, print_document
from recognition.text.index import TextIndex, build_index
from recognition.text.lexicon import load_lexicon

_NAMES = "text_name_"
_PRINTS = "text_print_"


@dataclass(frozen=True, eq=False)
class LoadedCatalog:
    """P products and N photos. ``names`` has a document for each product, ``prints`` one for each photo.

    ``label_classes`` and ``label_products`` (n,) pair classes of the network with products that name them; ``doubts``
    has the rows of negatives.
    """

    snapshot: Snapshot
    photo_index: PhotoIndex
    print_index: PrintIndex | None
    names: TextIndex
    prints: TextIndex
    has_photos: NDArray[np.bool_]
    label_classes: NDArray[np.intp]
    label_products: NDArray[np.intp]
    sold_out: frozenset[str]
    doubts: Doubts

    @property
    def with_photos(self) -> bool:
        """Whether there is anything to look for in a frame's pixels."""
        return len(self.snapshot.photo_product) > 0

    def views_of(self, product: int) -> NDArray[np.float16]:
        """Vectors (V, D) of all views of one product's photos."""
        photos = np.searchsorted(self.snapshot.photo_product, [product, product + 1])
        first, end = np.searchsorted(self.snapshot.view_photo, photos)
        return self.snapshot.view_vectors[first:end]

    def known_by_label(self) -> list[LinkedProduct]:
        """Products that a label alone may show: those with labels and without photos."""
        rows = np.unique(self.label_products)
        known = [self.snapshot.product(int(row)) for row in rows if not self.has_photos[row]]
        return [
            LinkedProduct(
                sku=product.sku,
                name=product.name,
                url=product.url,
                labels=tuple(product.labels),
                threshold=product.threshold,
                price=product.price,
                currency=product.currency,
                rooms=None if product.rooms is None else frozenset(product.rooms),
            )
            for product in known
        ]


def open_catalog(
    path: Path, *, fingerprint: str | None, labels: LabelSet, allowed_hosts: Sequence[str]
) -> LoadedCatalog:
    """Open a snapshot for matching.

    Raises:
        SnapshotError: it cannot be used, and why.
    """
    snapshot = open_snapshot(path, fingerprint=fingerprint, allowed_hosts=allowed_hosts)
    try:
        names = TextIndex.from_arrays(snapshot.extra, _NAMES)
        prints = TextIndex.from_arrays(snapshot.extra, _PRINTS)
    except KeyError as error:
        raise SnapshotError(f"{path}: the text index is missing: {error}") from error
    has_photos = np.zeros(snapshot.products, dtype=np.bool_)
    has_photos[snapshot.photo_product] = True
    indices = labels.indices()
    pairs = [
        (index, row)
        for row in range(snapshot.products)
        for label in snapshot.product(row).labels
        for index in indices.get(label, ())
    ]
    shadows = shadows_of(snapshot.product, snapshot.products)
    sold_out = set(np.flatnonzero(snapshot.stock_state == 0).tolist()) - set(shadows.values())
    return LoadedCatalog(
        snapshot=snapshot,
        photo_index=PhotoIndex.open(snapshot),
        print_index=PrintIndex.open(snapshot),
        names=names,
        prints=prints,
        has_photos=has_photos,
        label_classes=np.array([pair[0] for pair in pairs], dtype=np.intp),
        label_products=np.array([pair[1] for pair in pairs], dtype=np.intp),
        sold_out=frozenset(snapshot.product(row).sku for row in sold_out),
        doubts=Doubts(shadows, twins_of(shadows, snapshot.photo_product, snapshot.photo_digest)),
    )


def index_arrays(contents: SnapshotContents, previous: Snapshot | None) -> Mapping[str, NDArray[Any]]:
    """The indexes of a snapshot that is being built, for its ``extra`` arrays."""
    lexicon = load_lexicon()
    names = [name_document(product.name, product.brand, product.words, lexicon) for product in contents.products]
    prints = [print_document(lines) for lines in contents.lines]
    return {
        **build_indexes(contents, previous),
        **build_index(names, lexicon).arrays(_NAMES),
        **build_index(prints, lexicon).arrays(_PRINTS),
    }


def empty_snapshot(fingerprint: str, *, dimensions: int) -> SnapshotContents:
    """A catalog of no products, for an archive that is to follow one later, or that knows links alone."""
    contents = SnapshotContents(
        fingerprint=fingerprint,
        products=(),
        photo_product=np.zeros(0, np.int32),
        photo_digest=np.zeros((0, DIGEST_BYTES), np.uint8),
        photo_cells=np.zeros((0, CELLS, CELLS, 3), np.uint8),
        view_photo=np.zeros(0, np.int32),
        view_vectors=np.zeros((0, dimensions), np.float16),
        local_offsets=np.zeros(1, np.int64),
        local_xy=np.zeros((0, 2), np.float16),
        local_descriptors=np.zeros((0, DESCRIPTOR_BYTES), np.uint8),
        lines=(),
    )
    return replace(contents, extra=index_arrays(contents, None))
