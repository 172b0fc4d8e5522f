"""Flat pictures with transparency, put into a frame in any pose, with the blur of their movement."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Matrix = NDArray[np.float64]
Points = NDArray[np.float32]

#: Distance of the camera, in heights of what it looks at: how strongly a turned product is foreshortened.
_CAMERA_HEIGHTS = 4.0
#: Movement within one exposure that cannot be told from none.
_LEAST_BLUR_PX = 1.5
_LONGEST_BLUR_PX = 61.0


@dataclass(frozen=True)
class Pose:
    """Pose of a sprite: its middle and height in pixels of the frame, and its turn.

    ``roll_deg`` turns it in the picture, clockwise; ``yaw_deg`` turns its right side away from the viewer.
    """

    x_px: float
    y_px: float
    height_px: float
    roll_deg: float = 0.0
    yaw_deg: float = 0.0


@dataclass(frozen=True)
class Sprite:
    """``levels`` are RGB weighted by alpha, and alpha, uint8 (h, w, 4), each half the size of the one before.

    The point ``anchor_px`` of the first lies in the pose's middle, and ``unit_px`` of it are the pose's height.
    ``outline_px`` is the convex hull of what is not transparent, float32 (n, 2).
    """

    levels: tuple[NDArray[np.uint8], ...]
    anchor_px: tuple[float, float]
    unit_px: float
    outline_px: Points

    @property
    def aspect(self) -> float:
        """Width of the whole sprite in units of its pose's height."""
        return float(self.levels[0].shape[1] / self.unit_px)


def make_sprite(
    rgb: Rgb,
    alpha: NDArray[np.float32],
    *,
    anchor_px: tuple[float, float] | None = None,
    unit_px: float | None = None,
) -> Sprite:
    """A sprite of uint8 (h, w, 3) and alpha 0..1 (h, w); without more said, its pose is that of the whole picture."""
    weighted = np.dstack([rgb * alpha[..., None], alpha * 255])
    levels = [np.clip(np.rint(weighted), 0, 255).astype(np.uint8)]
    while min(levels[-1].shape[:2]) > 64:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    height, width = alpha.shape
    rows, columns = np.nonzero(alpha > 0.5)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.float32).reshape(-1, 1, 2))
    outline = np.asarray(hull, np.float32).reshape(-1, 2)
    return Sprite(tuple(levels), anchor_px or (width / 2, height / 2), unit_px or float(height), outline)


def placing(sprite: Sprite, pose: Pose) -> Matrix:
    """The homography from the pixels of the sprite's first level to those of the frame."""
    scale = pose.height_px / sprite.unit_px
    centred = np.array([[scale, 0, -scale * sprite.anchor_px[0]], [0, scale, -scale * sprite.anchor_px[1]], [0, 0, 1]])
    yaw, roll = np.deg2rad(pose.yaw_deg), np.deg2rad(pose.roll_deg)
    away = np.sin(yaw) / (_CAMERA_HEIGHTS * pose.height_px)
    turned = np.array([[np.cos(yaw), 0, 0], [0, 1, 0], [away, 0, 1]])
    placed = np.array([[np.cos(roll), -np.sin(roll), pose.x_px], [np.sin(roll), np.cos(roll), pose.y_px], [0, 0, 1]])
    return np.asarray(placed @ turned @ centred, np.float64)


def outline_in(sprite: Sprite, pose: Pose) -> Points:
    """The sprite's outline in the frame, pixels, float32 (n, 2), wherever it lies."""
    points = sprite.outline_px.reshape(-1, 1, 2)
    return np.asarray(cv2.perspectiveTransform(points, placing(sprite, pose)), np.float32).reshape(-1, 2)


def paint(frame: Rgb, sprite: Sprite, pose: Pose, *, moved_px: tuple[float, float] = (0.0, 0.0)) -> None:
    """Put the sprite into ``frame``, in place; ``moved_px`` is its way while the shutter was open."""
    matrix = placing(sprite, pose)
    height, width = sprite.levels[0].shape[:2]
    corners = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float32)
    found = np.asarray(cv2.perspectiveTransform(corners, matrix)).reshape(-1, 2)
    reach = 2 + 0.5 * min(_LONGEST_BLUR_PX, float(np.hypot(*moved_px)))
    left, top = (max(0, int(np.floor(value - reach))) for value in found.min(axis=0))
    right, bottom = (
        min(limit, int(np.ceil(value + reach)))
        for value, limit in zip(found.max(axis=0), frame.shape[1::-1], strict=True)
    )
    if right <= left or bottom <= top:
        return
    scale = pose.height_px / sprite.unit_px
    level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-3))), 0, len(sprite.levels) - 1))
    pixels = sprite.levels[level]
    enlarge = np.diag([width / pixels.shape[1], height / pixels.shape[0], 1.0])
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    patch = cv2.warpPerspective(pixels, shift @ matrix @ enlarge, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    _blend(frame[top:bottom, left:right], _moved(np.asarray(patch, np.uint8), moved_px))


def _moved(patch: NDArray[np.uint8], moved_px: tuple[float, float]) -> NDArray[np.uint8]:
    """The patch smeared along its way."""
    length = min(_LONGEST_BLUR_PX, float(np.hypot(*moved_px)))
    if length < _LEAST_BLUR_PX:
        return patch
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    step = np.array(moved_px) / np.hypot(*moved_px) * length / 2
    ends = [(round(float(half + sign * step[0])), round(float(half + sign * step[1]))) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    smeared = cv2.filter2D(patch, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smeared, np.uint8)


def _blend(part: Rgb, patch: NDArray[np.uint8]) -> None:
    through = 255 - patch[..., 3]
    kept = cv2.multiply(part, cv2.merge([through, through, through]), scale=1 / 255)
    part[...] = cv2.add(kept, np.ascontiguousarray(patch[..., :3]))
