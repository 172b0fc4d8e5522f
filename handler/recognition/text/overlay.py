"""Tells text that is drawn over a picture (chat, captions, banners, stickers) from print on a thing.

Drawn text lies level, and passes from ink to ground within a pixel, whatever the lens made of the rest: with a step
that print on a held thing does not have, or between colours that no shade falls on.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.text.ocr import ReadLine

_MOST_TILT_DEG = 1.0
#: Width of a line as a multiple of its height: the tilt of a sign or of a column says nothing.
_LEAST_ASPECT = 1.5
#: Small print of a photo that was made smaller is sharp, too.
_LEAST_HEIGHT_PX = 20
#: Step from pixel to pixel in levels of grey. Chat lines of JPEG frames had 172 and more, of an H.264 clip 173 and
#: more; the level lines of 23 phone photos of drinks at most 135.
_DRAWN_STEP = 150.0
#: The step as a share of the contrast of ink and ground, where it is smaller, and the distance in CIELAB (8 bits a
#: channel) of the middle pixel of ink or of ground from its colour. Of stickers in JPEGs of quality 60 to 90 it was 2
#: to 6; of the level lines above one had less than 5.
_SHARP_SHARE = 0.55
_MOST_SPREAD = 5.0
_LEAST_CONTRAST = 30.0


#: Chat is a stack of lines of one height that begin below each other: one of a stack is drawn where another is. Of 322
#: lines drawn over two H.264 clips 273 were known one by one, with a tilt of 0.6 at most; 322 with both.
_SAME_HEIGHT, _BELOW_EACH_OTHER = 0.25, 1.0


def printed(rgb: NDArray[np.uint8], lines: Sequence[ReadLine]) -> list[ReadLine]:
    """The ``lines``, read in the picture uint8 (H, W, 3), that are not drawn over it."""
    drawn = [line for line in lines if is_drawn_over(rgb, line)]
    return [line for line in lines if line not in drawn and not any(_is_stacked(line, other) for other in drawn)]


def _is_stacked(line: ReadLine, drawn: ReadLine) -> bool:
    high, other = line.box[3] - line.box[1], drawn.box[3] - drawn.box[1]
    is_alike = abs(high - other) <= _SAME_HEIGHT * high and abs(line.tilt_deg) <= _MOST_TILT_DEG
    return is_alike and abs(line.box[0] - drawn.box[0]) <= _BELOW_EACH_OTHER * high


def is_drawn_over(rgb: NDArray[np.uint8], line: ReadLine) -> bool:
    """True where ``line``, read in the picture uint8 (H, W, 3), is drawn over it."""
    left, top = (int(side) for side in line.box[:2])
    right, bottom = (int(np.ceil(side)) for side in line.box[2:])
    wide, high = line.box[2] - line.box[0], line.box[3] - line.box[1]
    if abs(line.tilt_deg) > _MOST_TILT_DEG or high < _LEAST_HEIGHT_PX or wide < _LEAST_ASPECT * high:
        return False
    crop = np.ascontiguousarray(rgb[top:bottom, left:right])
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    low, high_level = np.percentile(grey, (3, 97))
    contrast = float(high_level - low)
    step = float(np.percentile(np.abs(np.diff(grey.astype(np.float32), axis=1)), 98))
    if step >= _DRAWN_STEP:
        return True
    is_sharp = contrast >= _LEAST_CONTRAST and step >= _SHARP_SHARE * contrast
    return is_sharp and _spread(crop, grey) <= _MOST_SPREAD


def _spread(crop: NDArray[np.uint8], grey: NDArray[Any]) -> float:
    """Distance of the colours of ink or of ground from their middle, whichever is less."""
    colours = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    spreads = []
    for side in (bright, 1 - bright):
        inner = cv2.erode(side, np.ones((3, 3), np.uint8))
        pixels = colours[(inner if inner.any() else side) > 0]
        spreads.append(float(np.median(np.linalg.norm(pixels - np.median(pixels, axis=0), axis=1))))
    return min(spreads)
