"""A photo as a crop of a live frame shows it: turned, near, out of focus, under another lamp, behind fingers."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
_Layer = NDArray[np.float32]

_TURN_DEG = 30.0
_SCALE = (0.7, 1.1)
_BLUR_SHARE = 0.4
_HAND_SHARE = 0.4
_QUALITY = (40, 90)
_SKIN_RGB = np.array([200.0, 150.0, 125.0])


def as_held(photo: Rgb, backgrounds: Sequence[Rgb], side_px: int, rng: np.random.Generator) -> Rgb:
    """One such crop, uint8 (side, side, 3); ``backgrounds`` are pictures of anything else."""
    height, width = photo.shape[:2]
    cut_off = float(rng.uniform(0, 0.12))
    to_crop = _pose(width, height, cut_off, side_px, rng)
    shown = np.asarray(cv2.warpPerspective(photo, to_crop, (side_px, side_px)), np.float32)
    outline = cv2.warpPerspective(_outline(width, height, cut_off, rng), to_crop, (side_px, side_px))
    lamp = float(rng.uniform(0.75, 1.2)) * rng.uniform(0.92, 1.08, 3)
    shown = (shown * lamp + float(rng.uniform(-12, 12))).astype(np.float32)
    if rng.random() < _BLUR_SHARE:
        kernel = _blur(rng)
        shown, outline = (np.asarray(cv2.filter2D(layer, -1, kernel), np.float32) for layer in (shown, outline))
    mask = np.asarray(outline, np.float32)[..., None]
    crop = _background(backgrounds, side_px, rng) * (1 - mask) + shown * mask
    if rng.random() < _HAND_SHARE:
        crop = _behind_fingers(crop, rng)
    return _compressed(np.clip(crop, 0, 255).astype(np.uint8), rng)


def _pose(width: int, height: int, cut_off: float, side_px: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Photo pixels to crop pixels."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    size = np.array([width, height], np.float64)
    inner = (cut_off + corners * (1 - 2 * cut_off)) * size
    angle = np.deg2rad(rng.uniform(-_TURN_DEG, _TURN_DEG))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = float(rng.uniform(*_SCALE)) * side_px / size.max()
    placed = (inner - size / 2) * scale * rng.uniform(0.88, 1.0, 2) @ turn.T
    placed /= max(1.0, float(np.ptp(placed, axis=0).max()) / (1.15 * side_px))
    placed += side_px / 2 + rng.uniform(-0.08, 0.08, 2) * side_px + rng.uniform(-0.03, 0.03, (4, 2)) * side_px
    return np.asarray(cv2.getPerspectiveTransform(inner.astype(np.float32), placed.astype(np.float32)), np.float64)


def _outline(width: int, height: int, cut_off: float, rng: np.random.Generator) -> _Layer:
    """A rounded rectangle inside the photo: about what a package covers."""
    mask = np.zeros((height, width), np.float32)
    radius = float(rng.uniform(0.02, 0.25)) * min(width, height)
    inset = [cut_off * side + radius for side in (width, height)]
    far = (int(width - inset[0]), int(height - inset[1]))
    cv2.rectangle(mask, (int(inset[0]), int(inset[1])), far, 1.0, -1)
    grown = cv2.GaussianBlur(mask, (0, 0), max(0.6 * radius, 0.5)) > 0.12
    return grown.astype(np.float32)


def _background(backgrounds: Sequence[Rgb], side_px: int, rng: np.random.Generator) -> _Layer:
    picture = backgrounds[int(rng.integers(len(backgrounds)))]
    side = max(16, int(rng.uniform(0.3, 1.0) * min(picture.shape[:2])))
    top, left = (int(rng.integers(max(1, length - side + 1))) for length in picture.shape[:2])
    part = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (side_px, side_px), interpolation=cv2.INTER_AREA), np.float32)


def _blur(rng: np.random.Generator) -> _Layer:
    """Out of focus, or moved while the shutter was open."""
    if rng.random() < 0.5:
        line = np.asarray(cv2.getGaussianKernel(21, float(rng.uniform(0.6, 4.0))), np.float32)
        return np.asarray(line @ line.T, np.float32)
    length, angle = int(rng.integers(3, 12)), float(rng.uniform(0, np.pi))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = ((round(float(length + s * reach[0])), round(float(length + s * reach[1]))) for s in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _behind_fingers(crop: _Layer, rng: np.random.Generator) -> _Layer:
    side = crop.shape[0]
    fingers = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(side * rng.uniform(0, 1)) for _ in range(2))
        axes = (int(rng.uniform(0.08, 0.35) * side), int(rng.uniform(0.04, 0.12) * side))
        cv2.ellipse(fingers, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(fingers, (0, 0), 1.5), np.float32)[..., None]
    skin = _SKIN_RGB * rng.uniform(0.5, 1.15) + rng.uniform(-15, 15, 3)
    grain = rng.normal(0, 4, (side, side, 1))
    return np.asarray(crop * (1 - soft) + (skin + grain) * soft, np.float32)


def _compressed(crop: Rgb, rng: np.random.Generator) -> Rgb:
    """From fewer pixels, through JPEG."""
    side = crop.shape[0]
    fewer = max(8, int(side * rng.uniform(0.35, 1.0)))
    small = cv2.resize(crop, (fewer, fewer), interpolation=cv2.INTER_AREA)
    quality = int(rng.integers(_QUALITY[0], _QUALITY[1] + 1))
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)
    return np.asarray(cv2.resize(decoded, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
