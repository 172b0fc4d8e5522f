"""CPU that a room saves by decoding only what samples need, against decoding everything.

A drawn 720 x 1280 clip, 30 frames/s, 3 Mbit/s, key frames 2 s apart; each sampled frame passes the gate and becomes a
JPEG. CPU milliseconds for a second of the stream, the least of three runs. Missed: less than a tenth is saved.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from livecart.core.types import Frame
from livecart.live.gate.gate import FrameGate
from livecart.live.video import IngestSettings, StreamReader

RATES_HZ = (0.5, 1.0, 2.0)
_WIDTH_PX, _HEIGHT_PX, _FPS = 720, 1280, 30
_LEAST_SAVED = 0.1


def write_clip(path: Path, seconds: float) -> None:
    """A camera that moves over coloured tiles."""
    tiles = np.random.default_rng(1).integers(40, 200, (200, 120, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as output:
        x264 = {"preset": "veryfast", "x264-params": "keyint=60:min-keyint=60:scenecut=0"}
        stream = output.add_stream("libx264", rate=_FPS, options=x264)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = _WIDTH_PX, _HEIGHT_PX, "yuv420p", 3_000_000
        for number in range(round(seconds * _FPS)):
            left, top = int(60 + 50 * np.sin(number / 40)), int(100 + 80 * np.cos(number / 55))
            picture = np.ascontiguousarray(tiles[top : top + _HEIGHT_PX, left : left + _WIDTH_PX])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def cpu_ms_per_s(path: Path, seconds: float, rate_hz: float, *, every_frame: bool) -> float:
    """Of reading the clip, the gate and JPEGs, in this process."""
    gate = FrameGate()

    def deliver(frame: Frame) -> None:
        gate.decide(frame)
        frame.picture.jpeg(960)

    settings = IngestSettings(rate_hz=rate_hz, every_frame=every_frame)
    reader = StreamReader(str(path), "bench", settings, deliver, lambda *_: None)
    began_s = time.process_time()
    reader.start()
    reader.join()
    reader.stop()
    return 1000 * (time.process_time() - began_s) / seconds


def main() -> int:
    """The command line; returns the exit status: 1 where too little is saved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the clip (40)")
    seconds = parser.parse_args().seconds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, seconds)
        for rate_hz in RATES_HZ:
            held, whole = (
                min(cpu_ms_per_s(path, seconds, rate_hz, every_frame=every_frame) for _ in range(3))
                for every_frame in (False, True)
            )
            rows.append(
                {
                    "rate_hz": rate_hz,
                    "held_ms_per_s": round(held, 1),
                    "every_frame_ms_per_s": round(whole, 1),
                    "saved_share": round(1 - held / whole, 2),
                }
            )
    print(json.dumps(rows, indent=1))
    return int(any(row["saved_share"] < _LEAST_SAVED for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
