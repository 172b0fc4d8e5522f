"""From a catalog to what its snapshot holds; photos that the previous snapshot knows are not embedded again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.catalog_folder import Catalog
from recognition.errors import RecognitionError
from recognition.negatives import with_shadows, without_empty_shadows
from recognition.photo_features import CELLS, DESCRIPTOR_BYTES, PhotoEmbedder, PhotoFeatures
from recognition.snapshot import Snapshot
from recognition.snapshot_format import DIGEST_BYTES
from recognition.snapshot_write import SnapshotContents

ExtraArrays = Callable[[SnapshotContents], Mapping[str, NDArray[Any]]]
#: Called with photos done and photos in all, once before the first and after each one.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BadPhoto:
    """A photo that the snapshot goes without."""

    sku: str
    path: str
    reason: str


@dataclass(frozen=True)
class BuildReport:
    """Counts of one build. ``photos`` are in the snapshot: ``embedded`` now or ``reused``, a repeated one once each."""

    products: int
    photos: int
    embedded: int
    reused: int
    bad: tuple[BadPhoto, ...]


def build_snapshot(
    catalog: Catalog,
    embedder: PhotoEmbedder,
    *,
    folder: Path,
    previous: Snapshot | None = None,
    extra: ExtraArrays = lambda contents: {},
    progress: Progress = lambda done, total: None,
) -> tuple[SnapshotContents, BuildReport]:
    """What ``snapshot_write`` writes. ``folder`` is the catalog's; ``extra`` gives arrays to add, from all the rest.

    A photo that cannot be read or decoded is left out and reported. One that stands twice in a product counts once.
    Negatives are embedded as photos are, and counted with them.
    """
    features = _Features(embedder, previous)
    listed = with_shadows(catalog)
    wanted = [(index, path) for index, product in enumerate(listed.products) for path in product.photos]
    photos: dict[tuple[int, bytes], PhotoFeatures] = {}
    bad = []
    progress(0, len(wanted))
    for done, (product, path) in enumerate(wanted, 1):
        try:
            image = (folder / path).read_bytes()
            digest = hashlib.sha256(image).digest()
            photos[product, digest] = features.of(image, digest)
        except (RecognitionError, OSError) as error:
            owner = listed.products[product]
            bad.append(BadPhoto(owner.negative_of or owner.sku, path, str(error)))
        progress(done, len(wanted))
    kept, moved = without_empty_shadows(listed, photos)
    photos = {(moved[product], digest): each for (product, digest), each in photos.items()}
    contents = _contents(kept, embedder, photos)
    report = BuildReport(
        products=len(catalog.products),
        photos=len(photos),
        embedded=features.embedded,
        reused=len(photos) - features.embedded,
        bad=tuple(bad),
    )
    return replace(contents, extra=extra(contents)), report


class _Features:
    """Features by the SHA-256 of a photo's file: of the previous snapshot, or embedded once."""

    def __init__(self, embedder: PhotoEmbedder, previous: Snapshot | None) -> None:
        self._embedder = embedder
        self._known: dict[bytes, PhotoFeatures] = {}
        self._previous = previous
        self._place: dict[bytes, int] = {}
        if previous is not None and previous.fingerprint == embedder.fingerprint:
            self._place = {digest.tobytes(): photo for photo, digest in enumerate(previous.photo_digest)}
        self.embedded = 0

    def of(self, image: bytes, digest: bytes) -> PhotoFeatures:
        """Features of ``image``, whose SHA-256 is ``digest``."""
        if digest not in self._known:
            self._known[digest] = self._reused(digest) or self._embed(image)
        return self._known[digest]

    def _embed(self, image: bytes) -> PhotoFeatures:
        features = self._embedder.embed(image)
        if features.vectors.shape[1] != self._embedder.dimensions:
            raise ValueError(f"vectors of {features.vectors.shape[1]} dimensions from {self._embedder.fingerprint}")
        self.embedded += 1
        return features

    def _reused(self, digest: bytes) -> PhotoFeatures | None:
        place, previous = self._place.get(digest), self._previous
        if place is None or previous is None:
            return None
        first, end = np.searchsorted(previous.view_photo, [place, place + 1])
        local = slice(previous.local_offsets[place], previous.local_offsets[place + 1])
        return PhotoFeatures(
            vectors=previous.view_vectors[first:end],
            cells=previous.photo_cells[place],
            local_xy=previous.local_xy[local],
            local_descriptors=previous.local_descriptors[local],
            lines=previous.lines(place),
        )


def _contents(
    catalog: Catalog, embedder: PhotoEmbedder, photos: Mapping[tuple[int, bytes], PhotoFeatures]
) -> SnapshotContents:
    """``photos`` by product and digest, in the order of the products."""
    features = list(photos.values())
    digests = b"".join(digest for _, digest in photos)
    views = [len(photo.vectors) for photo in features]
    return SnapshotContents(
        fingerprint=embedder.fingerprint,
        products=catalog.products,
        photo_product=np.array([product for product, _ in photos], dtype=np.int32),
        photo_digest=np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES),
        photo_cells=np.stack([np.zeros((CELLS, CELLS, 3), np.uint8), *(photo.cells for photo in features)])[1:],
        view_photo=np.repeat(np.arange(len(features), dtype=np.int32), views),
        view_vectors=_stacked([photo.vectors for photo in features], embedder.dimensions, np.float16),
        local_offsets=np.cumsum([0, *(len(photo.local_xy) for photo in features)], dtype=np.int64),
        local_xy=_stacked([photo.local_xy for photo in features], 2, np.float16),
        local_descriptors=_stacked([photo.local_descriptors for photo in features], DESCRIPTOR_BYTES, np.uint8),
        lines=tuple(photo.lines for photo in features),
    )


def _stacked(parts: Sequence[NDArray[Any]], columns: int, dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.zeros((0, columns), dtype), *parts])
