"""Motion of a product through its show: poses at given times, smooth between them, never quite still in a hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clips.sprites import Pose

#: Heights of a product as shares of the frame's: as usual, near and far from the camera, and in a still scene.
_USUAL, _NEAR, _FAR, _SMALL = (0.3, 0.42), (0.46, 0.58), (0.2, 0.26), (0.15, 0.2)
#: A wide product is made smaller until it takes at most this share of the frame's width.
_WIDEST = 0.8
_ENTER_S, _LEAVE_S = (0.5, 0.9), (0.4, 0.8)
_PHASE_S = (1.2, 2.1)


@dataclass(frozen=True)
class Key:
    """A pose at a time. ``hide`` tells how far the second hand is in front of the product: 0 away, 1 all the way."""

    t_s: float
    pose: Pose
    hide: float = 0.0


@dataclass(frozen=True)
class PoseTrack:
    """Poses from the first key to the last. ``wobble`` is 0 for what stands still and 1 for what a hand holds."""

    keys: tuple[Key, ...]
    wobble: float
    phase_rad: float

    @property
    def start_s(self) -> float:
        """Before it the product is not in the picture."""
        return self.keys[0].t_s

    @property
    def stop_s(self) -> float:
        """After it the product is not in the picture any more."""
        return self.keys[-1].t_s

    def pose(self, t_s: float) -> Pose:
        """The pose at a time, held at both ends."""
        before, after, share = self._between(t_s)
        first, second = before.pose, after.pose
        mixed = [
            a + (b - a) * share
            for a, b in (
                (first.x_px, second.x_px),
                (first.y_px, second.y_px),
                (first.height_px, second.height_px),
                (first.roll_deg, second.roll_deg),
                (first.yaw_deg, second.yaw_deg),
            )
        ]
        sway = self.wobble * mixed[2]
        return Pose(
            mixed[0] + sway * 0.018 * float(np.sin(2 * np.pi * 0.53 * t_s + self.phase_rad)),
            mixed[1] + sway * 0.014 * float(np.sin(2 * np.pi * 0.71 * t_s + 2 * self.phase_rad)),
            mixed[2],
            mixed[3] + self.wobble * 1.6 * float(np.sin(2 * np.pi * 0.37 * t_s + self.phase_rad)),
            mixed[4],
        )

    def hide(self, t_s: float) -> float:
        """Share of the second hand in front of the product, 0 to 1."""
        before, after, share = self._between(t_s)
        return before.hide + (after.hide - before.hide) * share

    def _between(self, t_s: float) -> tuple[Key, Key, float]:
        """The keys around a time, and how far it is on the way: it starts and ends slowly."""
        for before, after in zip(self.keys, self.keys[1:], strict=False):
            if t_s < after.t_s:
                share = max(0.0, t_s - before.t_s) / (after.t_s - before.t_s)
                return before, after, share * share * (3 - 2 * share)
        return self.keys[-1], self.keys[-1], 0.0


@dataclass(frozen=True)
class Stage:
    """The frame's size in pixels, and the product's width as a multiple of its height."""

    width_px: int
    height_px: int
    aspect: float

    def height_of(self, share: float) -> float:
        """A product's height in pixels, by its share of the frame's, less for a wide one."""
        return min(share * self.height_px, _WIDEST * self.width_px / self.aspect)

    def outside(self, pose: Pose, side: str) -> Pose:
        """The pose moved out of the picture over that side, a little turned."""
        reach = 0.75 * float(np.hypot(1.0, self.aspect)) * pose.height_px
        if side == "below":
            return replace(pose, y_px=self.height_px + reach)
        return replace(pose, x_px=-reach if side == "left" else self.width_px + reach)


def held(stage: Stage, start_s: float, stop_s: float, rng: np.random.Generator) -> PoseTrack:
    """Brought in from an edge, held: near, far, turned, half hidden; then brought out again."""
    rest = _usual(stage, rng)
    enter_s = start_s + float(rng.uniform(*_ENTER_S))
    leave_s = stop_s - float(rng.uniform(*_LEAVE_S))
    keys = [Key(start_s, stage.outside(_tilted(rest, rng), _any_side(rng))), Key(enter_s, rest)]
    keys += _phases(stage, enter_s, leave_s, rest, rng)
    last = keys[-1].pose
    keys.append(Key(stop_s, stage.outside(_tilted(last, rng), _any_side(rng))))
    return PoseTrack(tuple(keys), 1.0, float(rng.uniform(0, 2 * np.pi)))


def held_aside(stage: Stage, start_s: float, stop_s: float, side: str, rng: np.random.Generator) -> PoseTrack:
    """Held in the other hand, small and low at one side, without being presented."""
    x = float(rng.uniform(0.14, 0.2))
    height = stage.height_of(float(rng.uniform(0.18, 0.22)))
    pose = Pose((x if side == "left" else 1 - x) * stage.width_px, 0.68 * stage.height_px, height, 6.0)
    return _in_and_out(stage, pose, side, start_s, stop_s, wobble=0.6, rng=rng)


def set_down(stage: Stage, start_s: float, stop_s: float, rng: np.random.Generator) -> PoseTrack:
    """Small, near an edge, brought in from it and then left standing without the least movement."""
    side = str(rng.choice(["left", "right"]))
    height = stage.height_of(float(rng.uniform(*_SMALL)))
    x = 0.04 * stage.width_px + 0.5 * height * max(stage.aspect, 0.5)
    y = float(rng.uniform(0.3, 0.6)) * stage.height_px
    pose = Pose(x if side == "left" else stage.width_px - x, y, height, float(rng.uniform(-4, 4)))
    return _in_and_out(stage, pose, side, start_s, stop_s, wobble=0.0, rng=rng)


def _in_and_out(
    stage: Stage, pose: Pose, side: str, start_s: float, stop_s: float, *, wobble: float, rng: np.random.Generator
) -> PoseTrack:
    enter_s, leave_s = float(rng.uniform(*_ENTER_S)), float(rng.uniform(*_LEAVE_S))
    away = stage.outside(pose, side)
    keys = (Key(start_s, away), Key(start_s + enter_s, pose), Key(stop_s - leave_s, pose), Key(stop_s, away))
    return PoseTrack(keys, wobble, float(rng.uniform(0, 2 * np.pi)))


def _usual(stage: Stage, rng: np.random.Generator) -> Pose:
    height = stage.height_of(float(rng.uniform(*_USUAL)))
    x, y = float(rng.uniform(0.4, 0.62)), float(rng.uniform(0.44, 0.58))
    return Pose(x * stage.width_px, y * stage.height_px, height, float(rng.uniform(-10, 10)), float(rng.uniform(-8, 8)))


def _phases(stage: Stage, start_s: float, stop_s: float, rest: Pose, rng: np.random.Generator) -> list[Key]:
    """One thing after another until the product leaves, each reached after two fifths of its time and then held."""
    count = max(2, int((stop_s - start_s) / float(rng.uniform(*_PHASE_S))))
    length_s = (stop_s - start_s) / count
    # Everything comes up once before anything comes up again.
    order = [
        str(name) for _ in range(count // 5 + 1) for name in rng.permutation(["near", "turn", "hide", "far", "calm"])
    ]
    keys: list[Key] = []
    for place in range(count):
        begin_s, action = start_s + place * length_s, order[place]
        pose = _acted(stage, action, rest, rng)
        hide = 1.0 if action == "hide" else 0.0
        keys.append(Key(begin_s + 0.4 * length_s, pose, hide))
        # A hand in front is taken away again within its phase.
        if hide:
            keys.append(Key(begin_s + 0.75 * length_s, pose, hide))
        keys.append(Key(begin_s + length_s, pose, 0.0))
    return keys


def _acted(stage: Stage, action: str, rest: Pose, rng: np.random.Generator) -> Pose:
    shifted = replace(
        rest,
        x_px=rest.x_px + float(rng.uniform(-0.07, 0.07)) * stage.width_px,
        y_px=rest.y_px + float(rng.uniform(-0.04, 0.04)) * stage.height_px,
    )
    sign = 1.0 if rng.random() < 0.5 else -1.0
    changes: Sequence[float] = (rest.height_px, rest.roll_deg, rest.yaw_deg)
    if action == "near":
        changes = (stage.height_of(float(rng.uniform(*_NEAR))), sign * float(rng.uniform(0, 6)), 0.0)
    elif action == "far":
        changes = (stage.height_of(float(rng.uniform(*_FAR))), rest.roll_deg, rest.yaw_deg)
    elif action == "turn":
        changes = (rest.height_px, sign * float(rng.uniform(10, 22)), sign * float(rng.uniform(18, 34)))
    return replace(shifted, height_px=changes[0], roll_deg=changes[1], yaw_deg=changes[2])


def _tilted(pose: Pose, rng: np.random.Generator) -> Pose:
    return replace(pose, roll_deg=pose.roll_deg + float(rng.uniform(-20, 20)))


def _any_side(rng: np.random.Generator) -> str:
    return str(rng.choice(["left", "right", "below"]))
