"""Frames like those of a live show: a product's photo, cut out, pasted at random into another picture.

Everything here is a pure function of its arguments: the same photo, background and seed give the same bytes.
"""

import hashlib
import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from contract.boxes import BoxXyxyPx
from evaluation.cutout import Cutout, Method, cut_out
from evaluation.hand import cover

Rgb = NDArray[np.uint8]

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 720, 1280
_ROTATION_DEG = 30.0
#: Height of the pasted product as a share of the frame's.
_SCALE = (0.2, 0.6)
#: A wide product is scaled until it leaves this share of the frame's width free.
_WIDEST = 0.96
#: Longer side that a photo is enlarged to before it is turned.
_LEAST_SIDE_PX = 256
_BLUR_SHARE = 0.4
_HAND_SHARE = 1 / 3
_QUALITY = (40, 90)


@dataclass(frozen=True)
class Truth:
    """Truth of a composed frame. ``box_xyxy_px`` is tight around the pasted product, whatever a hand hides of it."""

    sku: str
    #: x2 and y2 lie one past the last pixel.
    box_xyxy_px: BoxXyxyPx
    method: Method
    has_hand: bool


@dataclass(frozen=True)
class ComposedFrame:
    """A JPEG of 720 × 1280 pixels. ``truth`` is None where it shows no product."""

    jpeg: bytes
    truth: Truth | None


def seed_for(seed: int, *parts: str) -> int:
    """A seed for each of many things: their names decide, not their order."""
    digest = hashlib.sha256("\n".join([str(seed), *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def compose(photo: Rgb, background: Rgb, *, sku: str, seed: int) -> ComposedFrame:
    """The product of ``photo``, uint8 (h, w, 3), held into ``background``, uint8 (h, w, 3) of any size.

    Rotated by -30..30 degrees, 20..60 % of the frame's height (less where it would not fit in the frame's width), in
    four frames of ten blurred, in one of three covered up to half by a hand, all of it compressed at quality 40..90.
    """
    rng = np.random.default_rng(seed)
    frame = _covering(background, rng)
    cutout = cut_out(photo)
    rgb, alpha = _turned(cutout, rng)
    height, width = alpha.shape
    left, top = (int(rng.integers(free + 1)) for free in (FRAME_WIDTH_PX - width, FRAME_HEIGHT_PX - height))
    box = (float(left), float(top), float(left + width), float(top + height))
    layer, mask = _placed(rgb, alpha, left=left, top=top)
    blurred = rng.random() < _BLUR_SHARE
    if blurred:
        # With its alpha, and colours weighted by it: otherwise a seam of the photo's background would show.
        layer, mask = _blurred(layer, mask, rng)
    frame = np.rint(np.clip(frame * (1 - mask[..., None]) + layer, 0, 255)).astype(np.uint8)
    has_hand = bool(rng.random() < _HAND_SHARE)
    if has_hand:
        frame = cover(frame, mask, rng)
    return ComposedFrame(_jpeg(frame, rng), Truth(sku, box, cutout.method, has_hand))


def plain(background: Rgb, *, seed: int) -> ComposedFrame:
    """The same kind of frame without a product."""
    rng = np.random.default_rng(seed)
    return ComposedFrame(_jpeg(_covering(background, rng), rng), None)


def decode_rgb(data: bytes) -> Rgb:
    """An image file's pixels, upright, on white where it is transparent, uint8 (h, w, 3).

    Raises:
        OSError: not an image that Pillow reads.
    """
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))


def _covering(background: Rgb, rng: np.random.Generator) -> Rgb:
    """A random part of the background of the frame's shape, as large as the background allows."""
    height, width = background.shape[:2]
    scale = max(FRAME_WIDTH_PX / width, FRAME_HEIGHT_PX / height)
    # The part is cut out before it is resized: a wide panorama would be enlarged for nothing.
    part_width = min(width, max(1, round(FRAME_WIDTH_PX / scale)))
    part_height = min(height, max(1, round(FRAME_HEIGHT_PX / scale)))
    left, top = int(rng.integers(width - part_width + 1)), int(rng.integers(height - part_height + 1))
    part = background[top : top + part_height, left : left + part_width]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (FRAME_WIDTH_PX, FRAME_HEIGHT_PX), interpolation=interpolation), np.uint8)


def _turned(cutout: Cutout, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotated and scaled: RGB weighted by alpha, float32 (h, w, 3), and alpha (h, w), both tight."""
    angle = float(rng.uniform(-_ROTATION_DEG, _ROTATION_DEG))
    wanted = float(rng.uniform(*_SCALE)) * FRAME_HEIGHT_PX
    weighted = np.dstack([cutout.rgb * cutout.alpha[..., None], cutout.alpha]).astype(np.float32)
    enlarge = _LEAST_SIDE_PX / max(weighted.shape[:2])
    if enlarge > 1:
        # In a tiny photo a pixel more or less of the turned outline would be a large part of the frame.
        weighted = _resized(weighted, enlarge, cv2.INTER_LINEAR)
    # The mask, turned at its own size, tells how large the turned product is; then both are turned and scaled at once.
    height, width = _tight(_warped(weighted[..., 3], angle, 1.0))[2:]
    scale = min(wanted / height, _WIDEST * FRAME_WIDTH_PX / width)
    if scale < 0.5:
        # Bilinear sampling looks at four pixels: averaging first keeps small print from turning into noise.
        weighted = _resized(weighted, scale, cv2.INTER_AREA)
        scale = 1.0
    turned = _warped(weighted, angle, scale)
    top, left, height, width = _tight(turned[..., 3])
    turned = turned[top : top + height, left : left + width]
    return turned[..., :3], turned[..., 3]


def _resized(pixels: NDArray[np.float32], scale: float, interpolation: int) -> NDArray[np.float32]:
    size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.float32)


def _warped(pixels: NDArray[np.float32], angle_deg: float, scale: float) -> NDArray[np.float32]:
    """Turned about the middle onto a canvas that holds all of it."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, scale)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(np.ceil(width * cos + height * sin)) + 2, int(np.ceil(width * sin + height * cos)) + 2)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR), np.float32)


def _tight(alpha: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the box around what is more than half there."""
    rows, columns = np.flatnonzero((alpha > 0.5).any(axis=1)), np.flatnonzero((alpha > 0.5).any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def _placed(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32], *, left: int, top: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    layer = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3), np.float32)
    mask = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.float32)
    height, width = alpha.shape
    layer[top : top + height, left : left + width] = rgb
    mask[top : top + height, left : left + width] = alpha
    return layer, mask


def _blurred(
    layer: NDArray[np.float32], mask: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Out of focus, or moved by 4 to 14 pixels while the shutter was open."""
    both = np.dstack([layer, mask])
    if rng.random() < 0.5:
        both = np.asarray(cv2.GaussianBlur(both, (0, 0), float(rng.uniform(0.6, 2.2))), np.float32)
    else:
        length, angle = int(rng.integers(4, 15)), float(rng.uniform(0, np.pi))
        kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
        reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
        start, end = ((round(float(length + s * reach[0])), round(float(length + s * reach[1]))) for s in (-1, 1))
        cv2.line(kernel, start, end, 1.0)
        both = np.asarray(cv2.filter2D(both, -1, kernel / kernel.sum()), np.float32)
    return both[..., :3], np.clip(both[..., 3], 0.0, 1.0)


def _jpeg(frame: Rgb, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    quality = int(rng.integers(_QUALITY[0], _QUALITY[1] + 1))
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
