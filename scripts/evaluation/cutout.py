"""Cut a product out of its photo, as far as classical means go."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Method = Literal["flood", "grabcut", "whole"]

#: Masks are sought in a photo of this longer side: enough for an outline, and grabCut is slow on more.
_SIDE_PX = 224
#: Share of the ring around the photo that must look alike before its background counts as uniform.
_UNIFORM = 0.55
#: How far two colours may be apart in CIE Lab and still look alike.
_ALIKE = 9.0
#: A product fills this share of its photo. More, and hardly any background was found.
_AREA = (0.08, 0.92)
#: Least share of its convex hull that a packed product fills.
_SOLID = 0.88
#: Border pixels that a mask may touch, as a share of all: a hand's arm or half a table touches more.
_TOUCHING = 0.3
#: Least overlap, as intersection over union, of two masks that say the same.
_AGREEMENT = 0.85
#: Share of its box that a rectangle fills, rounded corners of the opening allowed.
_RECTANGULAR = 0.985
#: Spread of the values within a row or column that is a bar; JPEG leaves a little.
_BAR_SPREAD = 12


@dataclass(frozen=True)
class Cutout:
    """``rgb`` uint8 (h, w, 3) and ``alpha`` float32 (h, w), 0..1, both cropped to the mask's tight box."""

    rgb: Rgb
    alpha: NDArray[np.float32]
    method: Method


def cut_out(photo: Rgb) -> Cutout:
    """The product of uint8 (h, w, 3): by its uniform background, else by grabCut, else the whole photo as it is.

    Bars that a program has put beside a photo to make it wider or taller are no part of the photo.
    """
    mask = _tidied(_by_flood(_shrunk(photo)))
    if mask is not None and not _is_rectangle(mask):
        return _cropped(photo, mask, "flood")
    photo = _without_bars(photo)
    mask = _by_agreement(_shrunk(photo))
    if mask is not None:
        return _cropped(photo, mask, "grabcut")
    return Cutout(photo, np.ones(photo.shape[:2], np.float32), "whole")


def _shrunk(photo: Rgb) -> Rgb:
    height, width = photo.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return np.ascontiguousarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cropped(photo: Rgb, mask: NDArray[np.bool_], method: Method) -> Cutout:
    # Blurred before it is enlarged and cut again after: the outline gets smooth instead of showing the small pixels.
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    soft = cv2.resize(soft, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    alpha = np.clip((soft - 0.5) * 4 + 0.5, 0.0, 1.0).astype(np.float32)
    rows, columns = np.flatnonzero((alpha > 0.5).any(axis=1)), np.flatnonzero((alpha > 0.5).any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Cutout(photo[box], alpha[box], method)


def _without_bars(photo: Rgb) -> Rgb:
    """The photo without bars of one colour at its left and right, or at its top and bottom."""
    for axis in (0, 1):
        # Whether each column (axis 0) or row (axis 1) is of one colour from end to end.
        plain = np.ptp(photo, axis=axis).max(axis=-1) < _BAR_SPREAD
        content = np.flatnonzero(~plain)
        if content.size and min(content[0], len(plain) - 1 - content[-1]) > 0:
            kept = np.s_[content[0] : content[-1] + 1]
            return photo[:, kept] if axis == 0 else photo[kept]
    return photo


def _by_flood(photo: Rgb) -> NDArray[np.bool_] | None:
    """Foreground where no flood from the border reaches; None if the border is not of one colour."""
    lab = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    ring = _ring(lab.shape[0], lab.shape[1])
    colour = np.median(lab[ring], axis=0)
    alike = np.linalg.norm(lab - colour, axis=-1) < _ALIKE
    if alike[ring].mean() < _UNIFORM:
        return None
    # A flood over the pixels that look alike is their components that hold a pixel of the border.
    _, components = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    reached = np.unique(components[ring & alike])
    background: NDArray[np.bool_] = np.isin(components, reached) & alike
    return ~background


def _by_agreement(photo: Rgb) -> NDArray[np.bool_] | None:
    """The mask on which two runs of grabCut from different beginnings agree; else it found a mere colour."""
    first, second = (_tidied(_by_grab_cut(photo, share)) for share in (0.33, 0.41))
    if first is None or second is None:
        return None
    return second if (first & second).sum() >= _AGREEMENT * (first | second).sum() else None


def _by_grab_cut(photo: Rgb, share: float) -> NDArray[np.bool_]:
    """Foreground by colour models that start from an ellipse in the middle against a thin ring outside.

    The ellipse's half axes are ``share`` of the width and a little more of the height.
    """
    height, width = photo.shape[:2]
    mask = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    centre, axes = (width // 2, height // 2), (round(width * share), round(height * (share + 0.06)))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(mask, centre, (axes[0] // 2, axes[1] // 2), 0, 0, 360, cv2.GC_FGD, -1)
    mask[_ring(height, width)] = cv2.GC_BGD
    # Its colour models start from k-means, whose random numbers are OpenCV's own.
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(photo, mask, (0, 0, 0, 0), *models, 4, cv2.GC_INIT_WITH_MASK)
    found: NDArray[np.bool_] = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found


def _tidied(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """The largest piece without holes and whiskers, or None where it does not look like one packed product."""
    if mask is None or not mask.any():
        return None
    radius = max(1, round(max(mask.shape) * 0.012))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    whole = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(whole, [largest], -1, 1, -1)
    hull = max(1.0, cv2.contourArea(cv2.convexHull(largest)))
    ring = _ring(*mask.shape)
    plausible = (
        _AREA[0] <= whole.mean() <= _AREA[1]
        and cv2.contourArea(largest) / hull >= _SOLID
        and whole[ring].mean() <= _TOUCHING
        # Where much was thrown away, the piece that is left is a part of something.
        and whole.sum() >= 0.75 * mask.sum()
    )
    return whole.astype(bool) if plausible else None


def _is_rectangle(mask: NDArray[np.bool_]) -> bool:
    """True for a photo between bars."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return bool(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > _RECTANGULAR)


def _ring(height: int, width: int) -> NDArray[np.bool_]:
    ring = np.ones((height, width), bool)
    edge = max(1, round(min(height, width) * 0.015))
    ring[edge:-edge, edge:-edge] = False
    return ring
