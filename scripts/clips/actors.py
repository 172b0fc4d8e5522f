"""A product in the host's hand: drawn into frames, and where it is, for the truth."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from clips.hands import Hand, visible_share
from clips.motion import PoseTrack
from clips.products import ClipProduct
from clips.sprites import Rgb, Sprite, outline_in, paint
from livecart.cli.clip_score import ShownProduct, TimedBox

#: The shutter is open this long: what a room's light asks of a phone.
_EXPOSURE_S = 1 / 40
#: How far below its place the second hand begins, in product heights.
_HIDER_FROM = 1.9
#: The truth names the place this many times a second.
BOXES_PER_S = 5


@dataclass(frozen=True)
class Actor:
    """``grip`` holds the product, ``hider`` moves in front of it at times; either may be missing.

    One that is not ``presented`` is a bystander.
    """

    product: ClipProduct
    sprite: Sprite
    track: PoseTrack
    grip: Hand | None = None
    hider: Hand | None = None
    presented: bool = True

    def draw(self, frame: Rgb, t_s: float) -> None:
        """Draw product and hands into the frame, in place, if they are there at that time."""
        if not self.track.start_s <= t_s <= self.track.stop_s:
            return
        pose, before = self.track.pose(t_s), self.track.pose(t_s - _EXPOSURE_S)
        moved = (pose.x_px - before.x_px, pose.y_px - before.y_px)
        paint(frame, self.sprite, pose, moved_px=moved)
        facing = replace(pose, yaw_deg=0.0)
        if self.grip is not None:
            paint(frame, self.grip.sprite, facing, moved_px=moved)
        hide = self.track.hide(t_s)
        if self.hider is not None and hide > 0:
            paint(frame, self.hider.sprite, replace(facing, y_px=pose.y_px + self._below(hide) * pose.height_px))

    def inside(self, t_s: float, size_px: tuple[int, int]) -> float:
        """The share of the product that lies inside the picture, whatever hides it, 0 to 1."""
        if not self.track.start_s <= t_s <= self.track.stop_s:
            return 0.0
        hull = cv2.convexHull(outline_in(self.sprite, self.track.pose(t_s)))
        width, height = size_px
        frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        common, _ = cv2.intersectConvexConvex(hull, frame)
        return float(common) / max(1e-6, float(cv2.contourArea(hull)))

    def truth(self, size_px: tuple[int, int], fps: int, duration_s: float) -> ShownProduct | None:
        """Its entry in the clip's truth; None when it is never half inside the picture."""
        first, last = int(self.track.start_s * fps), min(int(self.track.stop_s * fps) + 1, round(duration_s * fps) - 1)
        there = [n / fps for n in range(first, last + 1) if self.inside(n / fps, size_px) >= 0.5]
        if not there:
            return None
        times = [n / BOXES_PER_S for n in range(int(there[0] * BOXES_PER_S), int(there[-1] * BOXES_PER_S) + 1)]
        times = [t_s for t_s in times if there[0] <= t_s <= there[-1]]
        return ShownProduct(
            sku=self.product.sku,
            name=self.product.name,
            from_s=round(there[0], 3),
            to_s=round(there[-1], 3),
            boxes=[self._box(t_s, size_px) for t_s in times],
            visible=[round(self._visible(t_s, size_px), 3) for t_s in times],
        )

    def _box(self, t_s: float, size_px: tuple[int, int]) -> TimedBox:
        points = np.clip(outline_in(self.sprite, self.track.pose(t_s)), 0, np.array(size_px, np.float32))
        left, top, right, bottom = (round(float(v), 1) for v in (*points.min(axis=0), *points.max(axis=0)))
        return t_s, left, top, right, bottom

    def _visible(self, t_s: float, size_px: tuple[int, int]) -> float:
        hide = self.track.hide(t_s)
        shown = visible_share(self.grip, self.hider if hide > 0 else None, self._below(hide))
        return shown * self.inside(t_s, size_px)

    @staticmethod
    def _below(hide: float) -> float:
        return _HIDER_FROM * (1 - hide)
