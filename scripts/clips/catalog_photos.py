"""Photos of drawn packages as a shop takes them: on a plain ground, with a margin, no two alike."""

import cv2
import numpy as np

from clips.designs import Design
from clips.packaging import any_view, draw_package
from clips.sprites import Pose, Rgb, make_sprite, paint

#: Side of the square photo, and the product's longer side as a share of it.
_SIDE_PX, _FILLS = 640, (0.72, 0.84)


def take_photo(design: Design, rng: np.random.Generator) -> Rgb:
    """One photo, uint8 (h, w, 3)."""
    cutout = draw_package(design, any_view(rng))
    sprite = make_sprite(cutout.rgb, cutout.alpha)
    photo = _ground(rng)
    height = float(rng.uniform(*_FILLS)) * _SIDE_PX / max(1.0, sprite.aspect)
    pose = Pose(
        _SIDE_PX * float(rng.uniform(0.47, 0.53)),
        _SIDE_PX * float(rng.uniform(0.48, 0.52)),
        height,
        float(rng.uniform(-4, 4)),
        float(rng.uniform(-14, 14)),
    )
    _shadow(photo, pose, sprite.aspect)
    paint(photo, sprite, pose)
    grain = rng.normal(0, 1.5, photo.shape)
    return np.clip(cv2.GaussianBlur(photo, (0, 0), 0.6) + grain, 0, 255).astype(np.uint8)


def _ground(rng: np.random.Generator) -> Rgb:
    """White to light grey, a little warm or cold, darker towards the foot."""
    tone = float(rng.uniform(222, 250)) + rng.uniform(-6, 6, 3)
    fall = np.linspace(1.0, float(rng.uniform(0.9, 0.98)), _SIDE_PX)[:, None, None]
    return np.clip(np.broadcast_to(tone * fall, (_SIDE_PX, _SIDE_PX, 3)), 0, 255).astype(np.uint8)


def _shadow(photo: Rgb, pose: Pose, aspect: float) -> None:
    """A soft shadow at the product's foot, in place."""
    dark = np.zeros(photo.shape[:2], np.float32)
    foot = (round(pose.x_px), round(pose.y_px + 0.5 * pose.height_px))
    cv2.ellipse(dark, foot, (max(1, round(0.55 * aspect * pose.height_px)), 12), 0, 0, 360, 0.45, -1)
    dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), 9), np.float32)
    photo[...] = np.rint(photo * (1 - dark[..., None])).astype(np.uint8)
