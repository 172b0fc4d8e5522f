"""Small snapshots for tests, and an embedder that needs no network."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recognition.catalog.build import index_arrays
from recognition.catalog.embedding import PhotoFeatures
from recognition.catalog.loaded import LoadedCatalog, open_catalog
from recognition.classify.labels import LabelSet
from recognition.errors import BadImage
from recognition.product import CatalogProduct
from recognition.snapshot.write import SnapshotContents, write_snapshot

FINGERPRINT = "tiny@1"
DIMENSIONS = 8


class FakeEmbedder:
    """Features that follow from the bytes of a photo alone; photos that start with ``broken`` cannot be decoded."""

    dimensions = DIMENSIONS
    at_once = 2

    def __init__(self, fingerprint: str = FINGERPRINT) -> None:
        self.fingerprint = fingerprint
        self.seen: list[bytes] = []

    def embed(self, image: bytes) -> PhotoFeatures:
        if image.startswith(b"broken"):
            raise BadImage("not a whole image")
        self.seen.append(image)
        return features_of(image)


def features_of(image: bytes) -> PhotoFeatures:
    """1 to 3 views, 0 to 4 local features and 0 to 2 lines."""
    random = np.random.default_rng(list(hashlib.sha256(image).digest()))
    vectors = random.standard_normal((random.integers(1, 4), DIMENSIONS))
    count = random.integers(0, 5)
    return PhotoFeatures(
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16),
        cells=random.integers(0, 256, (12, 12, 3), dtype=np.uint8),
        local_xy=random.random((count, 2)).astype(np.float16),
        local_descriptors=random.integers(0, 256, (count, 32), dtype=np.uint8),
        lines=tuple((f"第{line}行", 0.5 + line / 10) for line in range(random.integers(0, 3))),
    )


def product(sku: str, **fields: object) -> CatalogProduct:
    return CatalogProduct(sku=sku, name=f"商品{sku}", url=f"https://shop.example.com/item/{sku}", **fields)


def contents(
    products: Sequence[CatalogProduct] = (product("1"), product("2")),
    photos: Sequence[tuple[int, bytes]] = ((0, b"a"), (0, b"b"), (1, b"c")),
    *,
    fingerprint: str = FINGERPRINT,
    **extra: np.ndarray,
) -> SnapshotContents:
    """``photos`` are (index of product, bytes of file), in order."""
    features = [features_of(image) for _, image in photos]
    digests = [hashlib.sha256(image).digest() for _, image in photos]
    empty = features_of(b"")
    return SnapshotContents(
        fingerprint=fingerprint,
        products=tuple(products),
        photo_product=np.array([index for index, _ in photos], dtype=np.int32),
        photo_digest=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        photo_cells=np.stack([empty.cells, *(photo.cells for photo in features)])[1:],
        view_photo=np.repeat(np.arange(len(photos), dtype=np.int32), [len(photo.vectors) for photo in features]),
        view_vectors=np.concatenate([empty.vectors[:0], *(photo.vectors for photo in features)]),
        local_offsets=np.cumsum([0, *(len(photo.local_xy) for photo in features)]),
        local_xy=np.concatenate([empty.local_xy[:0], *(photo.local_xy for photo in features)]),
        local_descriptors=np.concatenate([empty.local_descriptors[:0], *(p.local_descriptors for p in features)]),
        lines=[photo.lines for photo in features],
        extra=extra,
    )


def written(folder: Path, *args: object, **kwargs: object) -> Path:
    """A snapshot of the `contents` of these arguments."""
    path = folder / "catalog.snapshot"
    write_snapshot(path, contents(*args, **kwargs))
    return path


def write(path: Path, *skus: str, fingerprint: str = FINGERPRINT) -> str:
    """A snapshot of products without photos; returns its id."""
    return write_snapshot(path, contents([product(sku) for sku in skus], (), fingerprint=fingerprint))


def catalog(path: Path, given: SnapshotContents, *, labels: Sequence[str] = ("红色", "蓝色")) -> LoadedCatalog:
    """``given`` with its indexes, written to ``path`` and opened for matching."""
    write_snapshot(path, dataclasses.replace(given, extra=index_arrays(given, None)))
    return open_catalog(
        path, fingerprint=given.fingerprint, labels=LabelSet(tuple(labels)), allowed_hosts=["shop.example.com"]
    )
