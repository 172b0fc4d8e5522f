"""A hand-sized patch in front of a product: drawn, soft-edged, of a skin's colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: Skin from light to dark, RGB.
_SKIN = ((236, 202, 180), (224, 180, 150), (205, 155, 122), (168, 118, 88), (120, 80, 58))
#: A hand is not drawn smaller than this share of what it was to cover.
_SHRINK = 0.85


def cover(frame: NDArray[np.uint8], product: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a hand over the product of mask ``product``, float32 (h, w) 0..1, onto uint8 (h, w, 3).

    It comes from the left, the right or below, and hides at most half of the product.
    """
    rows, columns = np.flatnonzero((product > 0.5).any(axis=1)), np.flatnonzero((product > 0.5).any(axis=0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    side = str(rng.choice(["left", "right", "below"]))
    along = float(rng.uniform(0.3, 0.75))
    # A hand is about 8 cm broad: 40 % of a bottle's height, and most of a can's width.
    breadth = float(rng.uniform(0.28, 0.42)) * (bottom - top)
    if side == "below":
        anchor = np.array([left + along * (right - left), bottom - 0.1 * (bottom - top)])
        direction = np.array([0.0, -1.0])
        breadth = min(breadth, 0.9 * (right - left))
    else:
        anchor = np.array([left if side == "left" else right, top + along * (bottom - top)], float)
        direction = np.array([1.0 if side == "left" else -1.0, float(rng.uniform(-0.35, 0.1))])
    reach = float(rng.uniform(0.45, 0.95)) * ((bottom - top) * 0.45 if side == "below" else right - left)
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))], np.float32) * float(rng.uniform(0.85, 1.05))
    shape = _Hand(anchor, direction / np.linalg.norm(direction), breadth, reach)
    alpha = shape.alpha(product.shape)
    total = float(product.sum())
    while float((alpha * product).sum()) > total / 2:
        shape = shape.smaller()
        alpha = shape.alpha(product.shape)
    return _painted(frame, alpha, skin, breadth, rng)


class _Hand:
    """Fingers laid around a product and the back of the hand behind them, ``direction`` being theirs, in pixels."""

    def __init__(
        self, anchor: NDArray[np.float64], direction: NDArray[np.float64], breadth: float, reach: float
    ) -> None:
        self._anchor, self._direction, self._breadth, self._reach = anchor, direction, breadth, reach

    def smaller(self) -> _Hand:
        return _Hand(self._anchor, self._direction, self._breadth * _SHRINK, self._reach * _SHRINK)

    def alpha(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Float32 (h, w) 0..1 with soft edges."""
        mask = np.zeros(shape[:2], np.uint8)
        across = np.array([-self._direction[1], self._direction[0]])
        thickness = max(3, round(self._breadth / 4 * 0.96))
        for finger, length in enumerate((0.86, 1.0, 0.96, 0.78)):
            base = self._anchor + across * self._breadth * (finger - 1.5) / 4 - self._direction * thickness
            self._line(mask, base, base + self._direction * (self._reach * length + thickness), thickness)
        # The back of the hand and the wrist lie outside the product.
        palm = self._anchor - self._direction * self._breadth * 0.55
        self._line(mask, palm, palm - self._direction * self._breadth * 0.25, round(self._breadth * 0.95))
        self._line(mask, palm, palm - self._direction * self._breadth * 20, max(3, round(self._breadth * 0.62)))
        soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(1.0, self._breadth * 0.025))
        return soft.astype(np.float32)

    @staticmethod
    def _line(mask: NDArray[np.uint8], start: NDArray[np.float64], end: NDArray[np.float64], thickness: int) -> None:
        points = [(round(float(x)), round(float(y))) for x, y in (start, end)]
        cv2.line(mask, points[0], points[1], 255, max(1, thickness), cv2.LINE_AA)


def _painted(
    frame: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    skin: NDArray[np.float32],
    breadth: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Skin that is darker towards the outline, with the unevenness and the noise of a camera."""
    height, width = alpha.shape
    depth = cv2.GaussianBlur(alpha, (0, 0), max(1.5, breadth * 0.07))
    coarse = rng.standard_normal((height // 48 + 2, width // 48 + 2)).astype(np.float32)
    blotches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((height, width)).astype(np.float32)
    light = 0.55 + 0.45 * np.clip(depth, 0, 1) ** 1.5 + 0.02 * blotches + 0.012 * grain
    colour = np.clip(skin * light[..., None], 0, 255)
    mixed: NDArray[np.float32] = frame * (1 - alpha[..., None]) + colour * alpha[..., None]
    return np.rint(mixed).astype(np.uint8)
