"""Drawn hands with their arms, as sprites: one that holds a product, and one that moves in front of it.

`evaluation.hand` covers a product in one picture; these stay the same from frame to frame, move with the product, and
have fingers that can be told apart.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from clips.designs import RgbColour
from clips.sprites import Sprite, make_sprite
from evaluation.compose import seed_for
from evaluation.cutout import Cutout

Vector = NDArray[np.float64]

#: Height at which the product lies in the picture that a hand is drawn into, and half of that picture's side.
_UNIT_PX, _REACH_PX = 220, 900
#: Shares of the product that the holding hand hides at most, and the one that moves in front of it.
GRIP_SHARE, HIDE_SHARE = 0.28, 0.5
#: A hand that hides too much is drawn smaller by this factor, until it hides little enough.
_SHRINK = 0.88
#: Masks for the hidden share are this much smaller.
_REDUCTION = 4
_SKINS: tuple[RgbColour, ...] = ((236, 202, 178), (226, 186, 156), (210, 164, 132), (184, 136, 106))
#: What the arm is dressed in.
_SLEEVES: tuple[RgbColour, ...] = ((238, 236, 230), (62, 78, 112), (150, 64, 70), (74, 110, 92))
#: Lengths of the four fingers, as shares of the hand's reach.
_FINGERS = (0.86, 1.0, 0.96, 0.78)


@dataclass(frozen=True)
class Hand:
    """A hand with its arm, in the product's pose. ``mask`` and ``product`` are small, alike in size, 0..1."""

    sprite: Sprite
    mask: NDArray[np.float32]
    product: NDArray[np.float32]


@dataclass(frozen=True)
class Dress:
    """The colours of a host's skin and clothes."""

    skin: RgbColour
    sleeve: RgbColour


@dataclass(frozen=True)
class _Limb:
    """A rounded bar from one point to another, pixels, thicker or thinner towards its end."""

    start: Vector
    end: Vector
    start_radius: float
    end_radius: float
    colour: RgbColour


@dataclass(frozen=True)
class _Grasp:
    """A grip: fingers point along ``direction``, the arm comes from ``-arm``; pixels."""

    anchor: Vector
    direction: Vector
    arm: Vector
    breadth: float
    reach: float


def make_hand(cutout: Cutout, dress: Dress, *, seed: int, most: float) -> Hand:
    """A hand in front of the product, that hides at most the share ``most`` of it."""
    rng = np.random.default_rng(seed)
    product, box = _product_mask(cutout)
    grasp = _any_grasp(box, rng)
    colour, alpha = _drawn(_limbs(grasp, dress), product.shape)
    while float((alpha * product).sum()) > most * float(product.sum()):
        grasp = replace(grasp, breadth=grasp.breadth * _SHRINK, reach=grasp.reach * _SHRINK)
        colour, alpha = _drawn(_limbs(grasp, dress), product.shape)
    rows, columns = np.flatnonzero(alpha.max(axis=1) > 0.01), np.flatnonzero(alpha.max(axis=0) > 0.01)
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    anchor = (float(_REACH_PX - columns[0]), float(_REACH_PX - rows[0]))
    sprite = make_sprite(colour[part].astype(np.uint8), alpha[part], anchor_px=anchor, unit_px=float(_UNIT_PX))
    small = (alpha.shape[1] // _REDUCTION, alpha.shape[0] // _REDUCTION)
    mask, reduced = (
        np.asarray(cv2.resize(each, small, interpolation=cv2.INTER_AREA), np.float32) for each in (alpha, product)
    )
    return Hand(sprite, mask, reduced)


def any_dress(seed: int) -> Dress:
    """Looks of the clip's host, the same on both hands."""
    return Dress(_SKINS[seed_for(seed, "skin") % len(_SKINS)], _SLEEVES[seed_for(seed, "sleeve") % len(_SLEEVES)])


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


def _product_mask(cutout: Cutout) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """The product's mask in the middle of the hand's picture, and its box there."""
    side = 2 * _REACH_PX
    height, width = cutout.alpha.shape
    size = (max(1, round(width * _UNIT_PX / height)), _UNIT_PX)
    left, top = _REACH_PX - size[0] // 2, _REACH_PX - size[1] // 2
    mask = np.zeros((side, side), np.float32)
    mask[top : top + size[1], left : left + size[0]] = cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA)
    return mask, (left, top, left + size[0], top + size[1])


def _any_grasp(box: tuple[float, float, float, float], rng: np.random.Generator) -> _Grasp:
    """From the left, the right or below.

    A hand is about 8 cm broad: 40 % of a bottle's height, and most of a can's width.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    side = str(rng.choice(["left", "right", "below"]))
    breadth = float(rng.uniform(0.3, 0.42)) * height
    if side == "below":
        anchor = np.array([left + width * float(rng.uniform(0.4, 0.6)), bottom - 0.06 * height])
        lean = float(rng.uniform(-0.25, 0.25))
        direction, arm = np.array([lean, -1.0]), np.array([1.5 * lean, -1.0])
        reach, breadth = float(rng.uniform(0.25, 0.4)) * height, min(breadth, 0.8 * width)
    else:
        sign = 1.0 if side == "left" else -1.0
        anchor = np.array([left if side == "left" else right, top + height * float(rng.uniform(0.5, 0.75))])
        direction = np.array([sign, float(rng.uniform(-0.35, 0.0))])
        # An arm comes up from the host's side.
        arm = np.array([sign, float(rng.uniform(-1.1, -0.5))])
        reach = float(rng.uniform(0.5, 0.9)) * min(width, 1.2 * height)
    return _Grasp(anchor, direction / np.linalg.norm(direction), arm / np.linalg.norm(arm), breadth, reach)


def _limbs(grasp: _Grasp, dress: Dress) -> list[_Limb]:
    """From back to front: sleeve and wrist, the hand's back, four fingers with their nails."""
    skin = dress.skin
    across = np.array([-grasp.direction[1], grasp.direction[0]])
    broad = grasp.breadth
    wrist = grasp.anchor - grasp.direction * 0.72 * broad
    cuff = wrist - grasp.arm * 1.5 * broad
    limbs = [
        _Limb(wrist, cuff, 0.34 * broad, 0.42 * broad, skin),
        _Limb(cuff, cuff - grasp.arm * 2.0 * _REACH_PX, 0.5 * broad, 0.75 * broad, dress.sleeve),
        _Limb(grasp.anchor - grasp.direction * 0.3 * broad, wrist, 0.49 * broad, 0.4 * broad, skin),
    ]
    nail: RgbColour = (min(255, skin[0] + 14), min(255, skin[1] + 8), min(255, skin[2] + 14))
    radius = 0.132 * broad
    for finger, length in enumerate(_FINGERS):
        base = grasp.anchor + across * broad * (finger - 1.5) / 4.1 - grasp.direction * 0.25 * broad
        tip = grasp.anchor + across * broad * (finger - 1.5) / 4.4 + grasp.direction * (grasp.reach * length - radius)
        limbs.append(_Limb(base, tip, 1.02 * radius, 0.88 * radius, skin))
        limbs.append(_Limb(tip + grasp.direction * 0.35 * radius, tip, 0.42 * radius, 0.5 * radius, nail))
    return limbs


def _drawn(limbs: list[_Limb], shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour, float32 (h, w, 3), and alpha of the limbs, each lit as a round bar: darker towards its outline."""
    colour, alpha = np.zeros((*shape[:2], 3), np.float32), np.zeros(shape[:2], np.float32)
    for limb in limbs:
        most = max(limb.start_radius, limb.end_radius) + 2
        ends = np.stack([limb.start, limb.end])
        left, top = np.clip(np.floor(ends.min(axis=0) - most), 0, shape[0]).astype(int)
        right, bottom = np.clip(np.ceil(ends.max(axis=0) + most), 0, shape[0]).astype(int)
        if right <= left or bottom <= top:
            continue
        y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
        away, radius = _distances(limb, x, y)
        there = np.clip(radius - away + 0.5, 0, 1)
        light = 0.66 + 0.36 * np.sqrt(np.clip(1 - (away / radius) ** 2, 0, 1))
        part = np.s_[top:bottom, left:right]
        lit = np.clip(np.array(limb.colour, np.float32) * light[..., None], 0, 255)
        colour[part] += (lit - colour[part]) * there[..., None]
        alpha[part] += (1 - alpha[part]) * there
    return colour, alpha


def _distances(
    limb: _Limb, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each pixel's distance from the limb's middle line, and the limb's radius there."""
    way = limb.end - limb.start
    length = max(1e-6, float(way @ way))
    along = np.clip(((x - limb.start[0]) * way[0] + (y - limb.start[1]) * way[1]) / length, 0, 1)
    away = np.hypot(x - limb.start[0] - along * way[0], y - limb.start[1] - along * way[1])
    radius = limb.start_radius + (limb.end_radius - limb.start_radius) * along
    return np.asarray(away, np.float32), np.asarray(radius, np.float32)
