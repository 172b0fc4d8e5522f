"""Cost of the gate, and the frames that it skips.

1. Cost per 720p frame, thumbnail included, as a share of decoding one 720p key frame in the same run.
2. Share of sampled frames skipped, by reason, at 1 and 2 frames/s: still clips made here, and real clips.
3. Small products (8 % of the frame's height) put at the edge of the still clips: how many the gate lets through.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import still_clips
from rich.console import Console
from rich.table import Table

from livecart.core.types import Frame, Picture
from livecart.live.gate.gate import FrameGate
from livecart.live.video.picture import ArrayPicture, VideoPicture

ROOT = Path(__file__).resolve().parent.parent


REAL_CLIPS = (
    "one-by-one-person-detection.mp4",
    "bottle-detection.mp4",
    "head-pose-face-detection-female-and-male.gif",
    "store-aisle-detection.gif",
    "milk.mkv",
    "sorry.mkv",
)
STILL = ("table", "slides", "host")
RATES_HZ = (1.0, 2.0)
_SLIDE_S = 15.0
_SMALL_SHARE = 0.08


def make_still_clips(data: Path, folder: Path, seconds: float) -> dict[str, Path]:
    """The three still clips, encoded into ``folder``."""
    frames = still_clips.sampled(data / "video" / REAL_CLIPS[0], 1.0)
    host = [frame.to_ndarray(format="rgb24") for frame, _ in zip(frames, range(41), strict=False)][-1]
    slides = [still_clips.slide(number) for number in range(int(seconds / _SLIDE_S) + 1)]
    pictures = {
        "table": still_clips.filmed(still_clips.table(product_photos(data))),
        "slides": lambda time_s: slides[int(time_s / _SLIDE_S)],
        "host": still_clips.breathing(still_clips.fitted(host, still_clips.WIDTH_PX, still_clips.HEIGHT_PX)),
    }
    return {name: still_clips.write(folder / f"{name}.mp4", at, seconds) for name, at in pictures.items()}


def product_photos(data: Path) -> list[Path]:
    """Every third of the labelled product photos."""
    lines = (data / "drinks" / "labels.tsv").read_text(encoding="utf-8").splitlines()
    return [data / "drinks" / line.split("\t")[0] for line in lines[::3]]


def judge(pictures: Iterable[tuple[float, Picture]]) -> Counter[str]:
    """Verdicts of one new gate, by reason."""
    gate = FrameGate()
    for pts_s, picture in pictures:
        gate.decide(Frame("bench", picture, pts_s, pts_s))
    return Counter({str(reason): count for reason, count in gate.counts.items()})


def shares(path: Path, rate_hz: float) -> dict[str, Any]:
    """Of one clip's sampled frames: how many, which share was skipped, and how many by each reason."""
    counts = judge((frame.time or 0.0, VideoPicture(frame)) for frame in still_clips.sampled(path, rate_hz))
    skipped = sum(counts[reason] for reason in ("unchanged", "blurred", "transition"))
    return {"frames": counts.total(), "skipped_share": round(skipped / counts.total(), 3), **counts}


def cost(path: Path) -> dict[str, float]:
    """Median milliseconds of the gate on each key frame of a clip, and of decoding that key frame alone."""
    decode_s, gate_s, gate = [], [], FrameGate()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_count = 1
        packets = [packet for packet in container.demux(stream) if packet.is_keyframe]
        for packet in packets:
            started = time.perf_counter()
            frames = packet.decode()
            decoded = time.perf_counter()
            for frame in frames:
                judged_from = time.perf_counter()
                gate.decide(Frame("bench", VideoPicture(frame), frame.time or 0.0, 0.0))
                gate_s.append(time.perf_counter() - judged_from)
            if frames:
                decode_s.append(decoded - started)
    decode_ms, gate_ms = 1000 * float(np.median(decode_s)), 1000 * float(np.median(gate_s))
    return {
        "gate_ms": round(gate_ms, 3),
        "gate_p95_ms": round(1000 * float(np.percentile(gate_s, 95)), 3),
        "decode_key_frame_ms": round(decode_ms, 3),
        "share_of_decoding": round(gate_ms / decode_ms, 3),
    }


def small_products(clip: Path, photos: list[Path], tries: int) -> dict[str, int]:
    """Put a small product at the edge of a still clip's later frame: how often the gate calls that changed."""
    random = np.random.default_rng(0)
    stills = [frame.to_ndarray(format="rgb24") for frame in still_clips.sampled(clip, 1.0)][:10]
    height = round(_SMALL_SHARE * still_clips.HEIGHT_PX)
    seen = 0
    for number in range(tries):
        picture = stills[1 + number % (len(stills) - 1)].copy()
        width = round(height * random.uniform(0.35, 1.0))
        product = still_clips.fitted(still_clips.read(photos[random.integers(len(photos))]), width, height)
        right, down = picture.shape[1] - width, picture.shape[0] - height
        x, y = ((0, 1)[number % 2] * right, int(random.integers(down)))
        if number % 4 >= 2:
            x, y = int(random.integers(right)), (0, 1)[number % 2] * down
        picture[y : y + height, x : x + width] = product
        pair = judge([(0.0, ArrayPicture(stills[0])), (1.0, ArrayPicture(picture))])
        seen += pair["changed"]
    return {"tries": tries, "seen": seen}


def show(report: dict[str, Any]) -> None:
    table = Table(title="share of sampled frames skipped")
    for column in ("clip", "frames/s", "frames", "skipped", "by reason"):
        table.add_column(column)
    for name, by_rate in report["clips"].items():
        for rate, row in by_rate.items():
            reasons = {key: value for key, value in row.items() if key not in {"frames", "skipped_share"}}
            table.add_row(name, rate, str(row["frames"]), f"{row['skipped_share']:.3f}", str(reasons))
    console = Console(width=140)
    console.print(table)
    console.print("cost per 720p frame:", report["cost"])
    console.print("small products at the edge:", report["small_products"])
    console.print("missed:", ", ".join(report["missed"]) or "nothing")


def missed(report: dict[str, Any]) -> list[str]:
    late = [f"{name} at {rate}/s" for name in STILL for rate, row in report["clips"][name].items() if _too_many(row)]
    late += ["cost below 1 ms"] if report["cost"]["gate_ms"] >= 1 else []
    return late + [f"small products, {n}" for n, row in report["small_products"].items() if row["seen"] < row["tries"]]


def _too_many(row: dict[str, Any]) -> bool:
    return bool(row["skipped_share"] < 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval"))
    parser.add_argument("--data", type=Path, default=default, help="evaluation data (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each still clip (default: %(default)s)")
    parser.add_argument("--tries", type=int, default=60, help="small products per clip (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the report there")
    options = parser.parse_args()
    if not (options.data / "video").is_dir():
        parser.exit(message=f"no evaluation data at {options.data}: set LIVECART_EVAL_DATA\n")
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as folder:
        still = make_still_clips(options.data, Path(folder), options.seconds)
        clips = still | {name: options.data / "video" / name for name in REAL_CLIPS}
        photos = product_photos(options.data)
        report: dict[str, Any] = {
            "cost": cost(still["host"]),
            "clips": {name: {f"{rate:g}": shares(path, rate) for rate in RATES_HZ} for name, path in clips.items()},
            "small_products": {name: small_products(still[name], photos, options.tries) for name in STILL},
        }
    report["missed"] = missed(report)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
