"""A frame as the network sees it: one pass over the whole of it, and crops of what was found there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.reply import BoxXyxyPx
from recognition.runtime import Runtime

#: Longer side of the dense pass: a product of a fifth of a portrait frame is then four cells of 32 pixels high.
DENSE_PX = 640
#: As of backbones.feature_map, which a worker without torch must not import.
_STRIDE_PX = 32
_LEAST_PX = 96
#: A crop reaches this share of a box's sides beyond it: boxes are seldom exact, and photos show some background too.
_MARGIN = 0.1


def dense_maps(runtime: Runtime, frames: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
    """Feature maps (C, rows, columns) of whole frames; frames of one shape share a pass."""
    grids = [_grid(frame) for frame in frames]
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, grid in enumerate(grids):
        by_shape[grid.shape].append(index)
    maps: dict[int, NDArray[np.float32]] = {}
    for members in by_shape.values():
        maps.update(zip(members, runtime.features(np.stack([grids[index] for index in members])), strict=True))
    return [maps[index] for index in range(len(frames))]


def crop(frame: Image.Image, box: BoxXyxyPx, *, margin: float = _MARGIN) -> tuple[Image.Image, tuple[int, int]]:
    """What ``box`` shows with a margin around it, and where in the frame its top left corner is."""
    bounds = bounds_of(frame, box, margin=margin)
    return frame.crop(bounds), bounds[:2]


def bounds_of(frame: Image.Image, box: BoxXyxyPx, *, margin: float) -> tuple[int, int, int, int]:
    """The whole pixels of the frame that ``crop`` takes: left, top, right, bottom."""
    wide, high = (box[2] - box[0]) * margin, (box[3] - box[1]) * margin
    left, top = max(0, int(box[0] - wide)), max(0, int(box[1] - high))
    right = min(frame.width, max(int(box[2] + wide) + 1, left + 1))
    bottom = min(frame.height, max(int(box[3] + high) + 1, top + 1))
    return left, top, right, bottom


def scaled(image: Image.Image, longer_px: int) -> NDArray[np.uint8]:
    """``image`` with its longer side made ``longer_px``, uint8 (H, W, 3)."""
    scale = longer_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _grid(frame: Image.Image) -> NDArray[np.uint8]:
    scale = DENSE_PX / max(frame.size)
    width, height = (max(_LEAST_PX, round(side * scale / _STRIDE_PX) * _STRIDE_PX) for side in frame.size)
    return np.asarray(frame.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
