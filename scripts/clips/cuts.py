"""Camera cuts: which part of a background is seen from when on."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from clips.sprites import Rgb

#: A camera stays this long.
_EVERY_S = (6.0, 16.0)
_ZOOM = (1.0, 1.45)


@dataclass(frozen=True)
class Cut:
    """From ``from_s`` on, 1/``zoom`` of what the frame's shape allows is seen, about (x, y), each 0 to 1."""

    from_s: float
    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5


def plan_cuts(duration_s: float, rng: np.random.Generator) -> list[Cut]:
    """Cuts to the end of the clip, the first at 0."""
    cuts = [Cut(0.0)]
    while True:
        from_s = cuts[-1].from_s + float(rng.uniform(*_EVERY_S))
        if from_s > duration_s - 1:
            return cuts
        x, y = float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.25, 0.6))
        cuts.append(Cut(from_s, float(rng.uniform(*_ZOOM)), x, y))


def cut_at(cuts: Sequence[Cut], t_s: float) -> Cut:
    return next(cut for cut in reversed(cuts) if cut.from_s <= t_s)


def framed(picture: Rgb, cut: Cut, size_px: tuple[int, int]) -> Rgb:
    """The part of the picture that the cut shows, filling ``size_px`` (width, height). Always a new array."""
    height, width = picture.shape[:2]
    scale = max(size_px[0] / width, size_px[1] / height) * cut.zoom
    part = (min(width, round(size_px[0] / scale)), min(height, round(size_px[1] / scale)))
    left, top = round((width - part[0]) * cut.x), round((height - part[1]) * cut.y)
    seen = picture[top : top + part[1], left : left + part[0]]
    if part == size_px:
        return seen.copy()
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(seen, size_px, interpolation=interpolation), np.uint8)
