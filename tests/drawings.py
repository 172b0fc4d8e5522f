"""Pictures that tests draw: labels with Chinese print, and packages full of detail."""

import cv2
import numpy as np
from numpy.typing import NDArray

#: OpenCV carries this face within itself, Chinese characters and all.
FACE = cv2.FontFace("uni")
PAPER = (240, 240, 235)
INK = (20, 20, 60)


def write(picture: NDArray[np.uint8], text: str, at: tuple[int, int], *, size_px: int = 44) -> None:
    """Print ``text`` with its base line's left end ``at`` x, y."""
    cv2.putText(picture, text, at, INK, FACE, size_px)


def label(*lines: str, width: int = 480, height: int = 360) -> NDArray[np.uint8]:
    """RGB paper with ``lines`` one below the other."""
    picture = np.full((height, width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        write(picture, line, (30, 70 + 70 * number))
    return picture


def column(text: str, *, width: int = 320, height: int = 480) -> NDArray[np.uint8]:
    """RGB paper with the characters of ``text`` one below the other."""
    picture = np.full((height, width, 3), PAPER, np.uint8)
    for number, sign in enumerate(text):
        write(picture, sign, (130, 60 + 50 * number))
    return picture


def package(seed: int, *, width: int = 240, height: int = 320) -> NDArray[np.uint8]:
    """RGB print of coloured ellipses and letters, another for each ``seed``."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), random.integers(120, 220, 3), np.uint8)
    for _ in range(60):
        centre, axes = random.integers(0, (width, height)), random.integers(3, 28, 2)
        colour = tuple(int(level) for level in random.integers(0, 256, 3))
        cv2.ellipse(picture, centre.tolist(), axes.tolist(), float(random.uniform(0, 360)), 0, 360, colour, -1)
    for _ in range(12):
        text = "".join(random.choice(list("ABCDEFGHKLMNPRSTXYZ0123456789"), 4))
        write(picture, text, random.integers((0, 20), (width - 60, height)).tolist(), size_px=22)
    return picture
