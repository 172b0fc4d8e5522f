"""A frame as the network sees it: one pass over the whole of it, and crops of what was found there."""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx
from recognition.network.runtime import Runtime

#: Longer side of the dense pass: a product of a fifth of a portrait frame is then four cells of 32 pixels high.
DENSE_PX = 640
#: As of backbones.feature_map, which a worker without torch must not import.
_STRIDE_PX = 32
_LEAST_PX = 96
#: A crop reaches this share of a box's sides beyond it: boxes are seldom exact, and photos show some background too.
_MARGIN = 0.1
#: Heights of windows in cells of the map, from the smallest product worth looking for to the whole frame: each about
#: 1.4 times the one before, so that some window overlaps any product by 0.46 at least, and most by more than 0.7.
_HEIGHTS = (3, 4, 6, 8, 11, 15, 20)
#: Width by height: a bottle, a carton, a tin, a bag that lies.
_ASPECTS = (0.4, 0.7, 1.2)
_NARROWEST = 2
#: A window moves by this share of its own side.
_STEP = 0.4


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
    """``box`` of the frame with a margin around it, and its top left corner in the frame."""
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


@dataclass(frozen=True)
class Windows:
    """M boxes ``cells`` (M, 4) as x1, y1, x2, y2 in cells, and ``pooling`` (M, rows * columns), which averages them."""

    cells: NDArray[np.int64]
    pooling: NDArray[np.float32]


@functools.lru_cache(maxsize=32)
def windows_of(rows: int, columns: int) -> Windows:
    """All windows over a feature map of that size, the whole map first."""
    boxes = {(0, 0, columns, rows): None}
    for height in (h for h in _HEIGHTS if h <= rows):
        for aspect in _ASPECTS:
            width = max(_NARROWEST, round(height * aspect))
            if width > columns:
                continue
            for top in _starts(rows, height):
                boxes.update(dict.fromkeys((left, top, left + width, top + height) for left in _starts(columns, width)))
    cells = np.array(list(boxes), dtype=np.int64)
    pooling = np.zeros((len(cells), rows, columns), dtype=np.float32)
    for index, (left, top, right, bottom) in enumerate(cells):
        pooling[index, top:bottom, left:right] = 1.0 / ((right - left) * (bottom - top))
    return Windows(cells, pooling.reshape(len(cells), -1))


def pool(feature_map: NDArray[np.float32], windows: Windows) -> NDArray[np.float32]:
    """Averages (M, C) of a feature map (C, rows, columns) over the windows."""
    cells = feature_map.reshape(feature_map.shape[0], -1)
    averages: NDArray[np.float32] = windows.pooling @ cells.T
    return averages


def suppress(cells: NDArray[np.int64], scores: NDArray[np.float32], *, count: int, overlap: float) -> list[int]:
    """Indices of the ``count`` best windows, none of which overlaps a better one by more than ``overlap`` (IoU)."""
    kept: list[int] = []
    order = np.argsort(-scores, kind="stable")
    while len(order) and len(kept) < count:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[intersection_over_union(cells[best], cells[order]) <= overlap]
    return kept


def intersection_over_union(box: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Overlap 0..1 of one box (4,) with each of ``others`` (M, 4), all x1, y1, x2, y2."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1).astype(np.float64)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    overlap: NDArray[np.float64] = shared / np.maximum(areas - shared, 1e-9)
    return overlap


def _starts(length: int, side: int) -> list[int]:
    step = max(1, round(side * _STEP))
    starts = list(range(0, length - side + 1, step))
    return starts if starts[-1] == length - side else [*starts, length - side]
