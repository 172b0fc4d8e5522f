"""How a catalog of 100,000 products is searched: time, memory, and what is lost against exact search.

The photo vectors are generated: each product has a centre, each photo a deviation from it, both nonnegative like real
ones, of a size at which exact search is right for about nine photos in ten. Text and network are not part of this.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "handler")]

from recognition.catalog_folder import CatalogProduct  # noqa: E402
from recognition.gallery import PhotoIndex, build_indexes  # noqa: E402
from recognition.snapshot import open_snapshot  # noqa: E402
from recognition.snapshot_write import SnapshotContents, write_snapshot  # noqa: E402
from recognition.vectors import hellinger  # noqa: E402

DIMENSIONS = 1280
_FACTORS = 96
_PHOTOS = 3
#: Deviation of a photo from its product, as a share of how products differ.
_DEVIATION = 1.1
#: A frame: windows of the dense pass, and crops.
WINDOWS, CROPS = 700, 6
_FRAMES = 60
_BLOCK = 20_000


def main() -> int:
    """Run the command line."""
    options = _options()
    if options.measure:
        print(json.dumps(_measure(options.measure, options.products)))
        return 0
    figures = run(options.products)
    print(json.dumps(figures, indent=2) if options.json else "", end="\n" if options.json else "")
    if not options.json:
        _show(figures)
    return 0


def run(products: int) -> dict[str, float]:
    """Build, open, search and change a snapshot of that many products."""
    with tempfile.TemporaryDirectory(prefix="livecart-scale-") as temporary:
        path = Path(temporary) / "catalog.snapshot"
        contents = _contents(products)
        started = time.perf_counter()
        contents = replace(contents, extra=build_indexes(contents, None))
        built_s = time.perf_counter() - started
        write_snapshot(path, contents)
        figures = {"products": products, "photos": products * _PHOTOS, "index_build_s": built_s}
        figures["snapshot_mb"] = path.stat().st_size / 1e6
        figures.update(_deleted(contents, path, products))
        del contents
        command = [sys.executable, __file__, "--measure", str(path), "--products", str(products)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        figures.update(json.loads(output))
    return figures


def _contents(products: int) -> SnapshotContents:
    photos = products * _PHOTOS
    vectors = np.empty((photos, DIMENSIONS), dtype=np.float16)
    for start in range(0, photos, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, photos))
        vectors[rows] = views(rows // _PHOTOS, rows)
    return SnapshotContents(
        fingerprint="benchmark",
        products=tuple(
            CatalogProduct(sku=str(n), name=f"product {n}", url=f"https://shop.example.com/item/{n}")
            for n in range(products)
        ),
        photo_product=np.repeat(np.arange(products, dtype=np.int32), _PHOTOS),
        photo_digest=np.random.default_rng(1).integers(0, 256, (photos, 32), dtype=np.uint8),
        view_photo=np.arange(photos, dtype=np.int32),
        view_vectors=vectors,
        local_offsets=np.zeros(photos + 1, np.int64),
        local_xy=np.zeros((0, 2), np.float16),
        local_descriptors=np.zeros((0, 32), np.uint8),
        lines=((),) * photos,
    )


def views(products: NDArray[np.int64], photos: NDArray[np.int64]) -> NDArray[np.float32]:
    """Vectors (n, D) of photo numbers ``photos`` of ``products``: any photo number is a new view of its product."""
    lift = np.random.default_rng(0).normal(size=(_FACTORS, DIMENSIONS)).astype(np.float32)
    centres = _normal(products, salt=1)
    deviations = _normal(photos, salt=2)
    return hellinger(np.exp(0.08 * (centres + _DEVIATION * deviations) @ lift))


def _normal(numbers: NDArray[np.int64], *, salt: int) -> NDArray[np.float32]:
    """Standard normal rows (n, factors) that depend on the numbers alone."""
    return np.stack([np.random.default_rng((salt, int(n))).standard_normal(_FACTORS, np.float32) for n in numbers])


def _measure(path: Path, products: int) -> dict[str, float]:
    """In a process of its own: what a worker pays."""
    started = time.perf_counter()
    snapshot = open_snapshot(path, fingerprint=None)
    index = PhotoIndex.open(snapshot)
    opened_s = time.perf_counter() - started
    rng = np.random.default_rng(7)
    shown = rng.permutation(products)[:_FRAMES]
    unseen = views(shown, 10_000_000 + shown)
    backgrounds = views(rng.integers(0, products, 4) + 50_000_000, rng.integers(0, 9, 4) + 60_000_000)
    times, right = [], 0
    for product, vector in zip(shown, unseen, strict=True):
        share = rng.random((WINDOWS, 1), dtype=np.float32)
        mixed = share * vector**2 + (1 - share) * backgrounds[rng.integers(0, 4, WINDOWS)] ** 2
        windows, crops = hellinger(mixed), np.repeat(vector[None], CROPS, axis=0)
        started = time.perf_counter()
        index.search(windows, count=1, allowed=None, effort="coarse")
        _, rows = index.search(crops, count=24, allowed=None, effort="fine")
        times.append(time.perf_counter() - started)
        right += int(rows[0, 0] // _PHOTOS == product)
    # Before the exact search below, which reads everything.
    resident = _resident_mb()
    started = time.perf_counter()
    best = np.full(len(unseen), -np.inf, np.float32)
    owner = np.zeros(len(unseen), np.int64)
    for start in range(0, len(snapshot.view_vectors), _BLOCK):
        scores = unseen @ snapshot.view_vectors[start : start + _BLOCK].astype(np.float32).T
        better = scores.max(axis=1) > best
        owner[better] = (start + scores.argmax(axis=1)[better]) // _PHOTOS
        best = np.maximum(best, scores.max(axis=1))
    exact_s = time.perf_counter() - started
    return {
        "open_s": opened_s,
        "search_p50_ms": float(np.percentile(times, 50)) * 1000,
        "search_p95_ms": float(np.percentile(times, 95)) * 1000,
        "exact_one_vector_each_ms": exact_s * 1000 / len(unseen),
        "resident_mb": resident,
        "r_at_1": right / _FRAMES,
        "r_at_1_exact": float((owner == shown).mean()),
    }


def _deleted(contents: SnapshotContents, path: Path, products: int) -> dict[str, float]:
    """Take out a tenth of the products; nothing is trained again."""
    kept = np.arange(len(contents.view_photo)) // _PHOTOS >= products // 10
    fewer = replace(
        contents,
        products=contents.products[products // 10 :],
        photo_product=contents.photo_product[kept] - products // 10,
        view_vectors=contents.view_vectors[kept],
        view_photo=np.arange(int(kept.sum()), dtype=np.int32),
        extra={},
    )
    previous = open_snapshot(path, fingerprint=None)
    started = time.perf_counter()
    arrays = build_indexes(fewer, previous)
    spent = time.perf_counter() - started
    trained = arrays["ann_views"].nbytes if "ann_views" in arrays else 0
    return {"delete_tenth_s": spent, "index_mb": trained / 1e6}


def _resident_mb() -> float:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def _show(figures: dict[str, float]) -> None:
    table = Table(title=f"{figures['products']:,} products × {_PHOTOS} photos, one thread")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
