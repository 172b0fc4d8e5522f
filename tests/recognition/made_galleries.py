"""Made-up contents of snapshots of any size, the indexes of them, and what comparing everything would find in them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognition.catalog.build import build_indexes
from recognition.index import photo_index
from recognition.keypoints.extract import pack
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import SnapshotContents, write_snapshot
from tests.snapshot_files import FINGERPRINT, product

DIMENSIONS = 64
#: Codes from so many views on, so that small catalogs are searched as large ones are.
EXACT_VIEWS = 100


def contents(
    photos: Sequence[tuple[int, int]], *, products: int, features: int = 0, views: int = 2
) -> SnapshotContents:
    """``photos`` are (product, number): what a photo shows follows from its number alone, alike in each hundred."""
    vectors, packed = [], []
    for _, number in photos:
        centre = np.random.default_rng([1, number // 100]).standard_normal(DIMENSIONS)
        random = np.random.default_rng([2, number])
        vectors.append(centre + 0.4 * random.standard_normal((views, DIMENSIONS)))
        levels = np.abs(random.standard_normal((features, 128))).astype(np.float32)
        packed.append(pack(levels / np.linalg.norm(levels, axis=1, keepdims=True)))
    stacked = np.concatenate([np.zeros((0, DIMENSIONS)), *vectors])
    digests = [number.to_bytes(32, "little") for _, number in photos]
    return SnapshotContents(
        fingerprint=FINGERPRINT,
        products=tuple(product(str(index)) for index in range(products)),
        photo_product=np.array([shown for shown, _ in photos], dtype=np.int32),
        photo_digest=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        photo_cells=np.zeros((len(digests), 12, 12, 3), np.uint8),
        view_photo=np.repeat(np.arange(len(photos), dtype=np.int32), views),
        view_vectors=(stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float16),
        local_offsets=np.arange(len(photos) + 1, dtype=np.int64) * features,
        local_xy=np.zeros((len(photos) * features, 2), np.float16),
        local_descriptors=np.concatenate([np.zeros((0, 32), np.uint8), *packed]),
        lines=[()] * len(photos),
    )


def stored(folder: Path, made: SnapshotContents, previous: Snapshot | None = None, *, indexed: bool = True) -> Snapshot:
    path = folder / f"{np.random.default_rng().integers(1 << 60)}.snapshot"
    write_snapshot(path, replace(made, extra=build_indexes(made, previous) if indexed else {}))
    return open_snapshot(path, fingerprint=FINGERPRINT)


def shop(products: int, each: int = 3) -> list[tuple[int, int]]:
    return [(shown, shown * 100 + number) for shown in range(products) for number in range(each)]


def queries_like(made: SnapshotContents, count: int, noise: float = 0.04) -> NDArray[np.float32]:
    random = np.random.default_rng(5)
    near = made.view_vectors[random.integers(0, len(made.view_vectors), count)].astype(np.float32)
    near += noise * random.standard_normal(near.shape).astype(np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def plainly(
    made: SnapshotContents, queries: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], list[list[int]]]:
    """Scores and products, one product after the other, from the definition."""
    similarity = queries @ made.view_vectors.astype(np.float32).T
    shown = made.photo_product[made.view_photo]
    scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
    products = []
    for row, values in enumerate(similarity):
        best = {}
        for index in np.flatnonzero(np.ones(len(shown), bool) if allowed is None else allowed[shown]):
            best[int(shown[index])] = max(float(values[index]), best.get(int(shown[index]), -9.0))
        top = sorted(best, key=lambda item: -best[item])[:count]
        scores[row, : len(top)] = [best[item] for item in top]
        products.append(top)
    return scores, products


@contextmanager
def large_gallery(folder: Path) -> Iterator[tuple[SnapshotContents, Snapshot]]:
    """300 products with 3 photos of 2 views, with codes and print."""
    made = contents(shop(300), products=300, features=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_index, "EXACT_VIEWS", EXACT_VIEWS)
        yield made, stored(folder, made)
