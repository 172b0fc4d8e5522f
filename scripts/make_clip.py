"""Compose a live-like clip that knows what it shows: the clip, its truth, and the catalog of its products.

  make_clip.py --out clip.mp4 --truth truth.json --catalog-out catalog      drawn packages in a drawn studio
  make_clip.py --out c.mp4 --truth t.json --products --host --seed 3        evaluation photos and clips
  make_clip.py --out c.mp4 --truth t.json --products DRINKS --host HOST.mp4 --fps 25 --bitrate 1M
  make_clip.py --out c.mp4 --truth t.json --still table                     nothing moves but the show

The same options give the same frames and the same truth on any machine; the encoded bytes are the same on one machine
with one version of the encoder. Products and catalog photos go by --catalog-seed alone, so that clips of different
--seed share one catalog. A photo that is in the catalog is never the one that is shown.

The truth: `shows` with sku, name, from_s and to_s (first and last frame with at least half of the product inside the
picture; 4 s or more), `boxes` ([t_s, x1, y1, x2, y2], pixels, 5 a second) and `visible` (share neither outside
nor behind a hand, for each box); `bystanders`, alike, are products in the picture that nobody presents.
Exit status: 0 made, 1 something given cannot be used.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# What evaluates is what is read by: `livecart` is imported from this checkout, installed or not.
from clips.composer import ClipPlan, compose_clip, write_clip
from clips.errors import ClipError
from clips.products import DrawnProducts, FolderProducts, Products
from clips.storyboard import LEAST_DURATION_S
from clips.writing import SUFFIXES
from evaluation.dataset import EvaluationError
from livecart.cli.clip_score import ClipTruth
from torchserve_plan import ROOT

DATA_VARIABLE = "LIVECART_EVAL_DATA"
_DRAWN_PRODUCTS = 24
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        made = _make(options)
    except (ClipError, EvaluationError, OSError) as error:
        print(f"make_clip: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(made, ensure_ascii=False))
    else:
        print(
            f"{made['clip']}: {made['duration_s']:g} s, {made['frames']} frames, {made['shows']} shows, "
            f"{made['kbit_per_s']:.0f} kbit/s; truth in {made['truth']}"
        )
    return 0


def _make(options: argparse.Namespace) -> dict[str, Any]:
    _check_paths(options)
    began_s = time.monotonic()
    products = _products(options)
    composition = compose_clip(_plan(options), products)
    frames = round(options.duration * options.fps)
    bar = Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("frames", total=frames)
        truth = write_clip(composition, options.out, lambda done: bar.update(task, completed=done))
    _write_truth(truth, options.truth)
    if options.catalog_out:
        products.write_catalog(options.catalog_out)
    size = options.out.stat().st_size
    return {
        "clip": str(options.out),
        "truth": str(options.truth),
        "catalog": str(options.catalog_out) if options.catalog_out else None,
        "duration_s": truth.duration_s,
        "frames": frames,
        "shows": len(truth.shows),
        "bystanders": len(truth.bystanders),
        "bytes": size,
        "kbit_per_s": size * 8 / 1000 / truth.duration_s,
        "took_s": round(time.monotonic() - began_s, 2),
    }


def _write_truth(truth: ClipTruth, path: Path) -> None:
    path.write_bytes(msgspec.json.encode(truth) + b"\n")


def _products(options: argparse.Namespace) -> Products:
    if options.products is None:
        count = options.catalog_products or _DRAWN_PRODUCTS
        return DrawnProducts(count, shots=options.shots, catalog_seed=options.catalog_seed)
    return FolderProducts(
        options.products, shots=options.shots, catalog_seed=options.catalog_seed, limit=options.catalog_products
    )


def _plan(options: argparse.Namespace) -> ClipPlan:
    return ClipPlan(
        seed=options.seed,
        duration_s=options.duration,
        size_px=options.size,
        fps=options.fps,
        bit_rate=options.bitrate,
        keyframe_distance_s=options.keyframe_distance,
        shows=options.shows,
        host=options.host,
        person=not options.hands_only,
        still=options.still,
        overlays_name=options.overlays_name,
    )


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse at the start what could only fail after all the drawing."""
    if options.out.suffix not in SUFFIXES:
        raise ClipError(f"{options.out}: a clip's name ends in {', '.join(SUFFIXES)}")
    for path in (options.out, options.truth):
        if not path.parent.is_dir():
            raise ClipError(f"{path}: there is no folder {path.parent}; create it first")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    data = Path(os.environ.get(DATA_VARIABLE, ROOT.parent / "shared" / "eval"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="CLIP", help=f"clip to write: {', '.join(SUFFIXES)}")
    parser.add_argument("--truth", type=Path, required=True, metavar="FILE", help="truth to write, JSON")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="what the clip goes by (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a sentence")
    _add_encoding(parser)
    _add_content(parser, data)
    return parser.parse_args(arguments)


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("picture and encoding")
    group.add_argument(
        "--duration", type=_number(LEAST_DURATION_S, 7200), default=60.0, metavar="S", help="seconds (default 60)"
    )
    group.add_argument("--size", type=_size, default=(720, 1280), metavar="WxH", help="pixels (default 720x1280)")
    group.add_argument("--fps", type=_whole(5, 60), default=30, metavar="N", help="frames a second (default 30)")
    group.add_argument(
        "--bitrate", type=_bit_rate, default="2M", metavar="RATE", help="bits a second: 2M, 800k (default 2M)"
    )
    group.add_argument(
        "--keyframe-distance", type=_number(0.1, 60), default=2.0, metavar="S", help="seconds between key frames (2)"
    )


def _add_content(parser: argparse.ArgumentParser, data: Path) -> None:
    group = parser.add_argument_group("what is shown")
    group.add_argument("--shows", type=_whole(1, 1000), metavar="N", help="number of shows (default: one in 9 s)")
    group.add_argument(
        "--still",
        nargs="?",
        const="table",
        choices=("table", "slides", "host"),
        help="a scene in which nothing moves but small products at its edge: a table of products (the default), "
        "slides, or a paused host",
    )
    group.add_argument(
        "--host",
        type=Path,
        nargs="?",
        const=data / "video",
        metavar="CLIP|DIR",
        help="a host's clip, or a folder of which one is taken by the seed, as background instead of the drawn studio; "
        f"without a value ${DATA_VARIABLE}/video",
    )
    group.add_argument(
        "--overlays-name", action="store_true", help="banner, captions and chat name products that are not presented"
    )
    group.add_argument("--hands-only", action="store_true", help="no person in the drawn studio, only hands")
    group.add_argument(
        "--products",
        type=Path,
        nargs="?",
        const=data / "drinks",
        metavar="FOLDER",
        help="photos and labels.tsv (lines of path<TAB>product name) instead of drawn packages; without a value "
        f"${DATA_VARIABLE}/drinks",
    )
    group.add_argument("--catalog-out", type=Path, metavar="FOLDER", help="write the products' catalog folder here")
    group.add_argument(
        "--catalog-products",
        type=_whole(1, 100_000),
        metavar="N",
        help=f"products in the catalog (default: all of the folder, {_DRAWN_PRODUCTS} drawn ones)",
    )
    group.add_argument("--catalog-seed", type=int, default=0, metavar="N", help="what the catalog goes by (default 0)")
    group.add_argument(
        "--shots", type=_whole(0, 100), default=3, metavar="N", help="photos of each in the catalog (default 3)"
    )


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    width, height = (int(side) for side in found.groups()) if found else (0, 0)
    # Chroma is stored at half the size in both directions.
    if not (96 <= width <= 4096 and 96 <= height <= 4096) or width % 2 or height % 2:
        raise argparse.ArgumentTypeError(f"{text!r}: expected WIDTHxHEIGHT, even numbers from 96 to 4096, as 720x1280")
    return width, height


def _bit_rate(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text)
    rate = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if not 50_000 <= rate <= 50_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected bits a second from 50k to 50M, as 2M or 800k")
    return rate


class _Range:
    """Reads a number between two bounds, for argparse."""

    def __init__(self, read: type[int] | type[float], least: float, most: float) -> None:
        self._read, self._least, self._most = read, least, most

    def __call__(self, text: str) -> float:
        try:
            value = self._read(text)
        except ValueError:
            value = float("nan")
        if not self._least <= value <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {self._least:g} to {self._most:g}")
        return value


def _whole(least: int, most: int) -> _Range:
    return _Range(int, least, most)


def _number(least: float, most: float) -> _Range:
    return _Range(float, least, most)


if __name__ == "__main__":
    raise SystemExit(main())
