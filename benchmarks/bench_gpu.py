"""Whole recognitions on a GPU: milliseconds a frame and frames a second by batch, beside the CPU of the same machine.

Frames of a drawn clip against a catalog of its drawn products, text as in service. Without a GPU the CPU's rows are
measured alone. To be beaten: 120 ms a frame and 5 to 8 rooms on an RTX 3060 (the source system's figures). Rooms are
what the frames a second carry at the rate that a room asks for (`benchmarks/results/rooms.json`), whatever else a
room costs.

    python benchmarks/bench_gpu.py                               every device and batch, a few minutes
    python benchmarks/bench_gpu.py --devices cuda --batches 1 8  some of it
"""

import argparse
import io
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Table

from archive_files import unpack
from clips.composer import ClipPlan, compose_clip
from clips.products import DrawnProducts
from evaluation.backend import build
from recognition.recognizer import Recognizer
from recognition.request.forms import Options, Request
from recognition.settings import Settings, parse_settings
from torchserve_plan import ARCHIVE, CONFIG_FILE, MODEL, positive

ROOT = Path(__file__).resolve().parent.parent
TARGET_MS = 120.0
_OPTIONS = Options(room=None, top_k=0, threshold=0.5, text="auto")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as temporary:
        folder = Path(temporary)
        archive = unpack(options.archive, folder / "archive")
        console.print(f"drawing {options.frames} frames, and a catalog of {options.products} products …")
        products = DrawnProducts(options.products, shots=3, catalog_seed=0)
        snapshot = build(products.write_catalog(folder / "catalog"), archive, folder / "catalog.snapshot")
        frames = clip_frames(products, options.frames)
        rows = []
        for device in options.devices:
            console.print(f"{device} …")
            recognizer = _recognizer(archive, device)
            recognizer.use_catalog(recognizer.open_catalog(snapshot))
            recognizer.warm_up(1)
            rows += [_measured(recognizer, frames, device, batch) for batch in options.batches]
    frames_per_s = _frames_per_s_of_room()
    for row in rows:
        row["rooms"] = None if frames_per_s is None else round(row["frames_per_s"] / frames_per_s, 1)
    _show(rows)
    if options.json:
        print(json.dumps({"target_ms": TARGET_MS, "rows": rows}))
    return 0


def _recognizer(archive: Path, device: str) -> Recognizer:
    settings: Settings = parse_settings(yaml.safe_load((archive / CONFIG_FILE).read_text(encoding="utf-8")))
    if device == "torch":
        settings = msgspec.structs.replace(settings, runtime=msgspec.structs.replace(settings.runtime, cpu="torch"))
    gpu_id = 0 if device == "cuda" else None
    return Recognizer.from_folder(archive, settings, name=MODEL, version="bench", gpu_id=gpu_id)


def clip_frames(products: DrawnProducts, count: int) -> list[bytes]:
    """A frame a second of a clip, as JPEG."""
    plan = ClipPlan(seed=0, duration_s=max(count, 10), size_px=(540, 960), fps=1, bit_rate=1, keyframe_distance_s=1)
    pictures = itertools.islice(compose_clip(plan, products).frames(), count)
    return [_jpeg(picture) for picture in pictures]


def _jpeg(picture: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=88)
    return file.getvalue()


def _measured(recognizer: Recognizer, frames: Sequence[bytes], device: str, batch: int) -> dict[str, Any]:
    requests = [Request(frame, _OPTIONS) for frame in frames]
    recognizer.recognize(requests[:batch])
    took_s = []
    for start in range(0, len(requests), batch):
        began_s = time.perf_counter()
        recognizer.recognize(requests[start : start + batch])
        took_s.append(time.perf_counter() - began_s)
    return {
        "device": device,
        "batch": batch,
        "batch_p50_ms": round(1000 * float(np.median(took_s)), 1),
        "batch_p95_ms": round(1000 * float(np.percentile(took_s, 95)), 1),
        "frame_ms": round(1000 * sum(took_s) / len(requests), 1),
        "frames_per_s": round(len(requests) / sum(took_s), 2),
    }


def _frames_per_s_of_room() -> float | None:
    path = ROOT / "benchmarks" / "results" / "rooms.json"
    if not path.is_file():
        return None
    runs = json.loads(path.read_text(encoding="utf-8"))["ways"]["livecart"]["runs"]
    return sum(run["asked_per_s"] for run in runs) / sum(run["rooms"] for run in runs)


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(title=f"recognitions; to be beaten: {TARGET_MS:g} ms a frame, 5 to 8 rooms", title_justify="left")
    for heading in ("device", "batch", "batch p50 ms", "p95 ms", "ms a frame", "frames/s", "rooms"):
        table.add_column(heading, justify="left" if heading == "device" else "right")
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    Console().print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    import torch

    devices = ["openvino", "torch", *(["cuda"] if torch.cuda.is_available() else [])]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", nargs="+", choices=("openvino", "torch", "cuda"), default=devices)
    parser.add_argument("--batches", nargs="+", type=positive, default=[1, 4, 8, 16])
    parser.add_argument("--frames", type=positive, default=64, help="default: %(default)s")
    parser.add_argument("--products", type=positive, default=24, help="in the catalog (default: %(default)s)")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object on stdout as well")
    options = parser.parse_args(arguments)
    if "cuda" in options.devices and "cuda" not in devices:
        parser.error("no CUDA device here; without --devices what is there is measured")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
