"""Finds the product in a catalog photo that was taken on a plain background.

Used when a catalog is built, never on a frame. GrabCut was tried for other backgrounds: of 60 hand-held photos it found
the product in a third, and often only its label.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: x1, y1, x2, y2 as shares of the photo's width and height.
BoxXyxyShare = tuple[float, float, float, float]
WHOLE: BoxXyxyShare = (0.0, 0.0, 1.0, 1.0)

#: Longer side on which the product is looked for.
_SIDE_PX = 192
#: A border is plain when nearly all of it lies this close (of 255) to its median colour.
_PLAIN_DISTANCE = 18
_PLAIN_SHARE = 0.8
#: A product that fills less of the photo than this was not found.
_LEAST_AREA = 0.06


def object_box(photo: Image.Image) -> BoxXyxyShare:
    """The box around the product in an RGB ``photo``; the whole photo where none stands out."""
    scale = _SIDE_PX / max(photo.size)
    size = (max(8, round(photo.width * scale)), max(8, round(photo.height * scale)))
    pixels = np.asarray(photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))
    mask = _off_plain_background(pixels)
    return WHOLE if mask is None else _box(mask)


def _off_plain_background(pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    colour = np.median(border, axis=0)
    if (np.abs(border - colour).max(axis=1) < _PLAIN_DISTANCE).mean() < _PLAIN_SHARE:
        return None
    near = (np.abs(pixels.astype(np.int16) - colour).max(axis=2) < _PLAIN_DISTANCE).astype(np.uint8)
    # Only what touches the border is background: a white label on a white page belongs to the bottle.
    _, labels = cv2.connectedComponents(near)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    background = np.isin(labels, outside[outside > 0])
    return (~background).astype(np.uint8)


def _box(mask: NDArray[np.uint8]) -> BoxXyxyShare:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return WHOLE
    height, width = mask.shape
    # The largest piece, and whatever else is not small beside it: a cap that a hand cuts off belongs to its bottle.
    pieces = stats[1:]
    kept = pieces[pieces[:, cv2.CC_STAT_AREA] >= 0.2 * pieces[:, cv2.CC_STAT_AREA].max()]
    left, top = kept[:, cv2.CC_STAT_LEFT].min(), kept[:, cv2.CC_STAT_TOP].min()
    right = (kept[:, cv2.CC_STAT_LEFT] + kept[:, cv2.CC_STAT_WIDTH]).max()
    bottom = (kept[:, cv2.CC_STAT_TOP] + kept[:, cv2.CC_STAT_HEIGHT]).max()
    area = float((right - left) * (bottom - top)) / (width * height)
    if area < _LEAST_AREA:
        return WHOLE
    return (float(left / width), float(top / height), float(right / width), float(bottom / height))
