"""Clips in which nothing worth a look happens, made for ``bench_gate.py``: products on a table, slides, a paused host.

Each is drawn upright at 720p with what cameras and encoders add (sensor noise, flicker, a tremble of a pixel) and
encoded as H.264 at a live stream's bit rate. The same seed gives the same pictures.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 1280, 720
FPS = 15
_KEY_EVERY = 15
_BIT_RATE = 2_000_000
_NOISE_LEVELS = 4.0
_FLICKER = 0.015


def table(photos: list[Path]) -> Picture:
    """Eight product photos side by side on wood."""
    random = np.random.default_rng(0)
    grain = random.normal(0, 6, (HEIGHT_PX, 1, 1)) + random.normal(0, 2, (HEIGHT_PX, WIDTH_PX, 1))
    picture = np.clip(np.array([150, 115, 80]) + grain, 0, 255).astype(np.uint8)
    for place, number in enumerate(random.choice(len(photos), 8, replace=False)):
        product = fitted(read(photos[number]), 230, 300)
        x, y = 60 + 300 * (place % 4), 40 + 340 * (place // 4)
        picture[y : y + product.shape[0], x : x + product.shape[1]] = product
    return picture


def slide(number: int) -> Picture:
    """A white page with a heading, lines of text and one coloured panel, another for each ``number``."""
    random = np.random.default_rng(1000 + number)
    page = np.full((HEIGHT_PX, WIDTH_PX, 3), 246, np.uint8)
    cv2.putText(page, f"Chapter {number}", (80, 120), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (30, 40, 90), 6)
    for line in range(int(random.integers(3, 8))):
        text = " ".join("".join(random.choice(list("abcdefghijklmno"), 5)) for _ in range(6))
        cv2.putText(page, text, (80, 220 + 60 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (60, 60, 60), 2)
    x = int(random.integers(700, 950))
    colour = tuple(int(level) for level in random.integers(30, 220, 3))
    cv2.rectangle(page, (x, 420), (x + 280, 660), colour, -1)
    return page


def filmed(picture: Picture, seed: int = 0) -> Callable[[float], Picture]:
    """``picture`` as a camera would see it at each second: noise, mains flicker, and a tremble below one pixel."""
    random = np.random.default_rng(seed)

    def at(time_s: float) -> Picture:
        shift = np.float32([[1, 0, 0.8 * np.sin(1.3 * time_s)], [0, 1, 0.8 * np.sin(1.7 * time_s + 1)]])
        moved = cv2.warpAffine(picture, shift, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_REPLICATE)
        light = 1 + _FLICKER * np.sin(11 * time_s) + 0.03 * np.sin(0.4 * time_s)
        noise = random.normal(0, _NOISE_LEVELS, moved.shape[:2])[..., None]
        return np.clip(moved * light + noise, 0, 255).astype(np.uint8)

    return at


def breathing(picture: Picture) -> Callable[[float], Picture]:
    """A paused host: ``filmed``, its middle swelling by three pixels with each breath."""
    camera = filmed(picture)
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    weight = np.exp(-(((columns - WIDTH_PX / 2) / 300) ** 2) - ((rows - HEIGHT_PX / 2) / 250) ** 2).astype(np.float32)

    def at(time_s: float) -> Picture:
        lift = 3 * weight * np.float32(np.sin(2 * np.pi * time_s / 3.7))
        return cv2.remap(camera(time_s), columns, rows + lift, cv2.INTER_LINEAR)

    return at


def write(path: Path, at: Callable[[float], Picture], seconds: float) -> Path:
    """Encode ``at`` over ``seconds`` as H.264, a key frame each second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.bit_rate, stream.gop_size = _BIT_RATE, _KEY_EVERY
        for number in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(at(number / FPS), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sampled(path: Path, rate_hz: float) -> Iterator[av.VideoFrame]:
    """Frames of a clip at ``rate_hz`` of its own time, whole decoding."""
    next_s = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= next_s - 1e-3:
                next_s = max(next_s + 1 / rate_hz, frame.time)
                yield frame


def read(path: Path) -> Picture:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert bgr is not None, f"{path} is no picture"
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def fitted(picture: Picture, width_px: int, height_px: int) -> Picture:
    """The middle of ``picture`` in that aspect, at that size."""
    scale = max(width_px / picture.shape[1], height_px / picture.shape[0])
    width, height = round(width_px / scale), round(height_px / scale)
    x, y = (picture.shape[1] - width) // 2, (picture.shape[0] - height) // 2
    part = picture[y : y + height, x : x + width]
    return np.asarray(cv2.resize(part, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)
