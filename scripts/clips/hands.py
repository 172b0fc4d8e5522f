"""Hands as sprites of their own: one that holds a product, and one that moves in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from clips.sprites import Sprite, make_sprite
from evaluation.compose import seed_for
from evaluation.cutout import Cutout
from evaluation.hand import cover

#: Height at which the product lies in the picture that a hand is drawn into, and half of that picture's side.
_UNIT_PX, _REACH_PX = 220, 900
#: Shares of the product that the holding hand hides at most, and the one that moves in front of it.
GRIP_SHARE, HIDE_SHARE = 0.28, 0.5
#: Masks for the hidden share are this much smaller.
_REDUCTION = 4


@dataclass(frozen=True)
class Hand:
    """A hand with its arm, in the product's pose. ``mask`` and ``product`` are small, alike in size, 0..1."""

    sprite: Sprite
    mask: NDArray[np.float32]
    product: NDArray[np.float32]


def make_hand(cutout: Cutout, skin: tuple[int, int, int], *, seed: int, most: float) -> Hand:
    """A hand of colour ``skin`` in front of the product, that hides at most the share ``most`` of it."""
    side = 2 * _REACH_PX
    height, width = cutout.alpha.shape
    size = (max(1, round(width * _UNIT_PX / height)), _UNIT_PX)
    left, top = _REACH_PX - size[0] // 2, _REACH_PX - size[1] // 2
    product = np.zeros((side, side), np.float32)
    product[top : top + size[1], left : left + size[0]] = cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA)
    # On black and on white: the difference tells how transparent the hand is.
    black, white = (
        cover(np.full((side, side, 3), value, np.uint8), product, np.random.default_rng(seed), most=most)
        for value in (0, 255)
    )
    alpha = 1 - (white.astype(np.float32) - black).mean(axis=-1) / 255
    rows, columns = np.flatnonzero(alpha.max(axis=1) > 0.01), np.flatnonzero(alpha.max(axis=0) > 0.01)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = alpha[box]
    colour = _of_skin(black[box].astype(np.float32) / np.maximum(part, 0.05)[..., None], part, skin)
    sprite = make_sprite(
        colour, part, anchor_px=(float(_REACH_PX - columns[0]), float(_REACH_PX - rows[0])), unit_px=float(_UNIT_PX)
    )
    small = (side // _REDUCTION, side // _REDUCTION)
    mask, reduced = (
        np.asarray(cv2.resize(each, small, interpolation=cv2.INTER_AREA), np.float32) for each in (alpha, product)
    )
    return Hand(sprite, mask, reduced)


def any_skin(seed: int) -> tuple[int, int, int]:
    """The clip's host."""
    skins = ((232, 196, 170), (222, 180, 150), (206, 158, 126), (176, 128, 98))
    return skins[seed_for(seed, "skin") % len(skins)]


def visible_share(grip: Hand | None, hider: Hand | None, hider_below: float) -> float:
    """The share of the product that no hand hides, when the hider lies that many product heights below its place."""
    known = grip or hider
    if known is None:
        return 1.0
    through = np.ones_like(known.product)
    if grip is not None:
        through *= 1 - grip.mask
    if hider is not None:
        shift = np.array([[1.0, 0, 0], [0, 1, hider_below * _UNIT_PX / _REDUCTION]])
        through *= 1 - np.asarray(cv2.warpAffine(hider.mask, shift, hider.mask.shape[::-1]), np.float32)
    return float((through * known.product).sum() / known.product.sum())


def _of_skin(colour: NDArray[np.float32], alpha: NDArray[np.float32], skin: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The hand's own light and shade on that skin."""
    solid = alpha > 0.9
    usual = np.median(colour[solid], axis=0) if solid.any() else np.full(3, 200.0, np.float32)
    return np.clip(colour * (np.array(skin, np.float32) / np.maximum(usual, 1)), 0, 255).astype(np.uint8)
