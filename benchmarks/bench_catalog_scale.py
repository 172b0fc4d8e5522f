"""A catalog of 100,000 products with 3 photos each: search time, memory, what is found, and deleting a tenth of it.

The vectors are generated, spread as those of real photos are (``catalog_vectors.py``). One frame asks for the windows
of a whole map at once and for four crops. Everything runs on one thread, and is held against comparing all vectors in
the same run. Prints a table and writes results/catalog_scale.json.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.catalog_vectors import DIMENSIONS, blocks, frame_windows, held_out
from benchmarks.scale_report import memory_mib, missed, show
from recognition.catalog.build import build_indexes
from recognition.index.photo_index import PhotoIndex
from recognition.product import CatalogProduct
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import SnapshotContents, write_snapshot

# numpy reads this once, when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"


ROOT = Path(__file__).resolve().parent.parent


CROPS = 4
_FINGERPRINT = "generated"
_EXACT_ROWS = 10_000


def main() -> int:
    """Run the benchmark; 1 if a target is missed or a deleted product is found."""
    options = _arguments()
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="livecart-scale-", dir=options.folder) as temporary:
        folder = Path(temporary)
        progress.print(f"generating {options.products} products …")
        contents = generate(folder / "vectors", options.products, options.photos)
        progress.print("building …")
        built, path = build(contents, None, folder / "whole.snapshot")
        progress.print("searching …")
        served = serve(path, options)
        progress.print(f"deleting {options.deleted} products …")
        deleted = delete(contents, path, folder, options)
    report = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "products": options.products,
        "photos": options.products * options.photos,
        "dimensions": DIMENSIONS,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        **built,
        **served,
        "deleted": deleted,
    }
    report["missed"] = missed(report)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    if options.json:
        print(json.dumps(report))
    else:
        show(report)
    return 1 if report["missed"] else 0


def generate(path: Path, products: int, photos: int) -> SnapshotContents:
    """A catalog whose vectors lie in a file, made some at a time, one view a photo."""
    count = products * photos
    vectors = np.memmap(path, dtype=np.float16, mode="w+", shape=(count, DIMENSIONS))
    for first, block in blocks(products, photos):
        vectors[first * photos : first * photos + len(block)] = block
    return SnapshotContents(
        fingerprint=_FINGERPRINT,
        products=tuple(
            CatalogProduct(sku=str(n), name=f"商品{n}", url=f"https://shop.example.com/item/{n}")
            for n in range(products)
        ),
        photo_product=np.repeat(np.arange(products, dtype=np.int32), photos),
        photo_digest=np.random.default_rng(0).integers(0, 256, (count, 32), dtype=np.uint8),
        photo_cells=np.zeros((count, 12, 12, 3), dtype=np.uint8),
        view_photo=np.arange(count, dtype=np.int32),
        view_vectors=vectors,
        local_offsets=np.zeros(count + 1, dtype=np.int64),
        local_xy=np.zeros((0, 2), dtype=np.float16),
        local_descriptors=np.zeros((0, 32), dtype=np.uint8),
        lines=[()] * count,
    )


def without(contents: SnapshotContents, products: NDArray[np.bool_], path: Path) -> SnapshotContents:
    """``contents`` without the ``products`` of that mask (P,)."""
    kept = np.flatnonzero(~products[contents.photo_product])
    vectors = np.memmap(path, dtype=np.float16, mode="w+", shape=(len(kept), DIMENSIONS))
    for first in range(0, len(kept), _EXACT_ROWS):
        vectors[first : first + _EXACT_ROWS] = contents.view_vectors[kept[first : first + _EXACT_ROWS]]
    renumbered = np.cumsum(~products) - 1
    return replace(
        contents,
        products=tuple(product for product, gone in zip(contents.products, products, strict=True) if not gone),
        photo_product=renumbered[contents.photo_product[kept]].astype(np.int32),
        photo_digest=contents.photo_digest[kept],
        photo_cells=contents.photo_cells[kept],
        view_photo=np.arange(len(kept), dtype=np.int32),
        view_vectors=vectors,
        local_offsets=np.zeros(len(kept) + 1, dtype=np.int64),
        lines=[()] * len(kept),
    )


def build(contents: SnapshotContents, previous: Snapshot | None, path: Path) -> tuple[dict[str, float], Path]:
    arrays, index_s = _timed(lambda: build_indexes(contents, previous))
    _, write_s = _timed(lambda: write_snapshot(path, replace(contents, extra=arrays)))
    sizes = {"snapshot_mb": path.stat().st_size / 1e6, "index_mb": sum(array.nbytes for array in arrays.values()) / 1e6}
    return {"index_s": index_s, "write_s": write_s, **sizes}, path


def serve(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Times of one process, memory of it and of a second one, and the cost of comparing everything."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    figures: dict[str, Any] = {}
    try:
        for name in ("one_process", "two_processes"):
            ours, theirs = context.Pipe()
            processes.append(context.Process(target=_worker, args=(path, options, theirs), daemon=True))
            processes[-1].start()
            # Ours alone: a worker that dies must end the wait for it.
            theirs.close()
            pipes.append(ours)
            measured = ours.recv()
            figures = figures or measured
            for pipe in pipes:
                pipe.send("memory")
            figures[name] = [pipe.recv() for pipe in pipes]
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join()
    snapshot = open_snapshot(path, fingerprint=_FINGERPRINT)
    return figures | _against_everything(snapshot, figures.pop("found"), figures.pop("windows_found"), options)


def _worker(path: Path, options: argparse.Namespace, pipe: Connection) -> None:
    """One process that serves: measures, then tells its memory as often as it is asked."""
    snapshot, open_s = _timed(lambda: open_snapshot(path, fingerprint=_FINGERPRINT))
    index, index_s = _timed(lambda: PhotoIndex.open(snapshot))
    shown = _shown(snapshot.products, options.queries)
    views = held_out(shown)
    frames, coarse, fine, cpu, windows_found = [], [], [], [], []
    for number in range(options.frames + 1):
        crops = views[np.arange(number, number + CROPS) % len(views)]
        windows = frame_windows(views[number % len(views)], number)
        cpu_s = time.thread_time()
        found, first_s = _timed(lambda: index.search(windows, count=1, allowed=None, effort="coarse"))  # noqa: B023
        _, second_s = _timed(lambda: index.search(crops, count=24, allowed=None, effort="fine"))  # noqa: B023
        if number:  # the first one reads the file into memory
            cpu.append((time.thread_time() - cpu_s) * 1e3)
            coarse.append(first_s * 1e3)
            fine.append(second_s * 1e3)
            frames.append(coarse[-1] + fine[-1])
        if number < options.exact_frames:
            windows_found.append(found[0][:, 0])
    found = index.search(views, count=1, allowed=None, effort="fine")[1][:, 0]
    pipe.send(
        {
            "open_s": open_s,
            "open_index_s": index_s,
            "windows": len(windows),
            "crops": CROPS,
            **{
                f"{name}_{key}": value
                for name, times in (("search", frames), ("coarse", coarse), ("fine", fine), ("cpu", cpu))
                for key, value in zip(("p50_ms", "p95_ms"), np.percentile(times, (50, 95)).tolist(), strict=True)
            },
            "found": found,
            "windows_found": windows_found,
        }
    )
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(memory_mib())


def _against_everything(
    snapshot: Snapshot, found: NDArray[np.int64], windows_found: list[NDArray[np.float32]], options: argparse.Namespace
) -> dict[str, Any]:
    """R@1 beside that of comparing everything, and how much of the windows' scores is missed."""
    shown = _shown(snapshot.products, options.queries)
    views = held_out(shown)
    (_, exact), _ = _timed(lambda: _everything(snapshot.view_vectors, views))
    owner = snapshot.photo_product[snapshot.view_photo]
    missed_by, seconds = [], []
    for number, scores in enumerate(windows_found):
        crops = views[np.arange(number, number + CROPS) % len(views)]
        both = np.vstack([frame_windows(views[number % len(views)], number), crops])
        (best, _), spent = _timed(lambda: _everything(snapshot.view_vectors, both))  # noqa: B023
        seconds.append(spent)
        top = np.argsort(-best[:-CROPS])[:20]
        missed_by.append((best[top] - scores[top]).mean())
    return {
        "r_at_1": float((owner[found] == shown).mean()),
        "exact_r_at_1": float((owner[exact] == shown).mean()),
        "same_as_exact": float((owner[exact] == owner[found]).mean()),
        "exact_frame_ms": float(np.median(seconds) * 1e3),
        "best_windows_missed_by": float(np.mean(missed_by)),
    }


def delete(contents: SnapshotContents, path: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Take products away, keeping the tables; ask for each of those, and for others."""
    gone = np.zeros(options.products, dtype=np.bool_)
    gone[np.random.default_rng(6).permutation(options.products)[: options.deleted]] = True
    previous = open_snapshot(path, fingerprint=_FINGERPRINT)
    remaining = without(contents, gone, folder / "remaining")
    built, smaller = build(remaining, previous, folder / "smaller.snapshot")
    snapshot = open_snapshot(smaller, fingerprint=_FINGERPRINT)
    index = PhotoIndex.open(snapshot)
    sample = np.flatnonzero(gone)
    _, views = index.search(held_out(sample), count=5, allowed=None, effort="fine")
    numbers = np.array([int(product.sku) for product in remaining.products])
    found_again = int(gone[numbers[snapshot.photo_product[snapshot.view_photo[views]]]].sum())
    others = _shown(options.products, options.queries)
    asked = held_out(others)[~gone[others]]
    _, best = index.search(asked, count=1, allowed=None, effort="fine")
    _, exact = _everything(snapshot.view_vectors, asked)
    owner = numbers[snapshot.photo_product[snapshot.view_photo]]
    return {
        "products": options.deleted,
        **built,
        "asked_for": len(sample),
        "found_again": found_again,
        "r_at_1": float((owner[best[:, 0]] == others[~gone[others]]).mean()),
        "exact_r_at_1": float((owner[exact] == others[~gone[others]]).mean()),
    }


def _everything(
    vectors: NDArray[np.float16], queries: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Best score (Q,) and row (Q,) of all vectors, one product of matrices after the other."""
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    rows = np.zeros(len(queries), dtype=np.int64)
    for first in range(0, len(vectors), _EXACT_ROWS):
        scores = queries @ vectors[first : first + _EXACT_ROWS].astype(np.float32).T
        top = scores.argmax(axis=1)
        value = scores[np.arange(len(queries)), top]
        rows = np.where(value > best, first + top, rows)
        best = np.maximum(best, value)
    return best, rows


def _shown(products: int, count: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(7).choice(products, min(count, products), replace=False)).astype(np.int64)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=3, help="photos of each product")
    parser.add_argument("--deleted", type=int, default=10_000, help="products to delete")
    parser.add_argument("--frames", type=int, default=200, help="frames to time")
    parser.add_argument("--exact-frames", type=int, default=2, help="frames to compare with everything")
    parser.add_argument("--queries", type=int, default=1000, help="held-out views to ask for")
    parser.add_argument("--folder", type=Path, help="where to put 3 GB for the time being")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "catalog_scale.json")
    options = parser.parse_args()
    if not 0 <= options.deleted < options.products:
        parser.error(f"--deleted {options.deleted}: must be fewer than the {options.products} products")
    return options


if __name__ == "__main__":
    sys.exit(main())
