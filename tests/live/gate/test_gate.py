"""The gate sees what a recogniser should see, and nothing else. Scenes are drawn; noise is as strong as a webcam's."""

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecart.core.types import Frame, InSight
from livecart.live.gate.difference import Reference
from livecart.live.gate.gate import FrameGate, Result
from livecart.live.gate.settings import GateSettings
from livecart.live.gate.signature import hash_distance, signature, thumbnail_size
from livecart.live.video.picture import ArrayPicture
from tests.drawings import package

WIDTH, HEIGHT = 1280, 720


def scene(seed: int = 0, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A still studio: a soft wall and drawn packages standing in it, away from the picture's edge."""
    random = np.random.default_rng(seed)
    wall = cv2.resize(random.integers(60, 200, (4, 6, 3)).astype(np.uint8), (width, height))
    for place in range(4):
        x, y = 80 + place * (width - 160) // 4, height // 4 + (place % 2) * height // 12
        wall[y : y + 320, x : x + 240][: height - y, : width - x] = package(10 * seed + place)[
            : height - y, : width - x
        ]
    return wall


def noisy(picture: np.ndarray, seed: int, *, levels: float = 5.0, gain: float = 1.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, levels, picture.shape[:2])[..., None]
    return np.clip(picture * gain + noise, 0, 255).astype(np.uint8)


def frame(picture: np.ndarray, pts_s: float) -> Frame:
    return Frame("room", ArrayPicture(picture), pts_s, 1e9 + pts_s)


def verdicts(*pictures: np.ndarray, gate: FrameGate | None = None, rate_hz: float = 1.0) -> list[str]:
    gate = gate or FrameGate()
    return [gate.decide(frame(picture, number / rate_hz)).reason for number, picture in enumerate(pictures)]


def seen(before: np.ndarray, after: np.ndarray) -> str:
    return verdicts(before, after)[1]


def dissolve(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return (one * (1 - share) + other * share).astype(np.uint8)


def test_a_still_scene_is_looked_at_once_and_then_by_force():
    gate = FrameGate(GateSettings(forced_every_s=10.0))
    reasons = verdicts(*(noisy(scene(), seed) for seed in range(21)), gate=gate)
    assert [number for number, reason in enumerate(reasons) if reason == "forced"] == [10, 20]
    assert reasons[0] == "first"
    assert gate.counts == {"first": 1, "forced": 2, "unchanged": 18}


@pytest.mark.parametrize("gain", [0.88, 0.95, 1.06, 1.12])
def test_exposure_is_no_change(gain):
    assert seen(scene(), noisy(scene(), 1, gain=gain)) == "unchanged"


@pytest.mark.parametrize("shift_px", [(2, 0), (0, 3), (-4, 2), (5, -4)])
def test_a_trembling_camera_is_no_change(shift_px):
    shift = np.float32([[1, 0, shift_px[0]], [0, 1, shift_px[1]]])
    moved = cv2.warpAffine(scene(), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    assert seen(scene(), noisy(moved, 1)) == "unchanged"


def test_a_blink_is_no_change():
    open_eyes = scene()
    for x in (600, 680):
        cv2.ellipse(open_eyes, (x, 100), (14, 6), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(open_eyes, (x, 100), 6, (30, 20, 20), -1)
    closed = open_eyes.copy()
    for x in (600, 680):
        cv2.ellipse(closed, (x, 100), (14, 6), 0, 0, 360, (200, 160, 140), -1)
    assert seen(open_eyes, noisy(closed, 1)) == "unchanged"
    assert seen(closed, noisy(open_eyes, 1)) == "unchanged"


@pytest.mark.parametrize("portrait", [False, True])
@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("seed", range(4))
def test_a_small_product_at_the_edge_is_seen(edge, seed, portrait):
    width, height = (HEIGHT, WIDTH) if portrait else (WIDTH, HEIGHT)
    before = scene(seed, width=width, height=height)
    after = noisy(before, seed)
    tall = round(0.08 * height)
    product = cv2.resize(package(77 + seed), (tall // 2, tall), interpolation=cv2.INTER_AREA)
    random = np.random.default_rng(seed)
    x, y = int(random.integers(width - tall // 2)), int(random.integers(height - tall))
    x = {"left": 0, "right": width - tall // 2}.get(edge, x)
    y = {"top": 0, "bottom": height - tall}.get(edge, y)
    after[y : y + tall, x : x + tall // 2] = product
    assert seen(before, after) == "changed"


def test_a_change_of_colour_alone_is_seen_though_no_hash_sees_it():
    before, after = scene(), scene()
    before[300:420, 560:640] = (200, 60, 100)
    # (R + 2G + B) / 4 is 105 before and after.
    after[300:420, 560:640] = (40, 130, 120)
    one, other = signature(ArrayPicture(before)), signature(ArrayPicture(after))
    assert np.abs(one.planes[0].astype(int) - other.planes[0]).max() <= 1
    assert hash_distance(one, other) == 0
    assert seen(before, noisy(after, 1)) == "changed"


def test_a_faint_picture_of_other_structure_is_seen_by_the_hash_alone():
    """Fog, or a slide in pale grey: every window differs by too little, but the whole is another picture."""

    def faint(sign: int) -> np.ndarray:
        """Sixteen waves of 1.2 levels each."""
        down, across = np.arange(HEIGHT)[:, None] / HEIGHT, np.arange(WIDTH)[None, :] / WIDTH
        signs = np.random.default_rng(0).choice([-1, 1], (4, 4))
        waves = sum(
            signs[y, x] * np.cos(np.pi * (y + 1) * down) * np.cos(np.pi * (x + 1) * across)
            for y in range(4)
            for x in range(4)
        )
        return np.repeat(np.rint(128 + sign * 1.2 * waves).astype(np.uint8)[..., None], 3, axis=2)

    difference = Reference(signature(ArrayPicture(faint(1)))).difference(signature(ArrayPicture(faint(-1))))
    assert difference.strongest_levels < GateSettings().window_levels + 2.0 * difference.noise_levels
    assert seen(faint(1), noisy(faint(-1), 1)) == "changed"
    assert seen(faint(1), noisy(faint(1), 1)) == "unchanged"


def test_a_slow_drift_adds_up():
    """Nothing moves more than 4 pixels from one frame to the next, which alone is no change."""
    pictures = []
    for number in range(12):
        picture = noisy(scene(), number)
        x = 100 + 4 * number
        picture[20:120, x : x + 60] = (240, 240, 60)
        pictures.append(picture)
    reasons = verdicts(*pictures, rate_hz=2.0)
    assert reasons[1] == "unchanged"
    assert "changed" in reasons


def test_a_cut_is_looked_at_at_once():
    assert seen(scene(1), noisy(scene(2), 1)) == "changed"


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
def test_a_dissolve_waits_until_it_is_over(share):
    one, other = scene(1), scene(2)
    assert verdicts(one, dissolve(one, other, share), other, gate=FrameGate(GateSettings(max_wait_s=2.0))) == [
        "first",
        "transition",
        "changed",
    ]


def test_a_fade_waits_and_a_large_object_does_not():
    room = scene(1)
    assert seen(room, (room * 0.5).astype(np.uint8)) == "transition"
    held_up = room.copy()
    held_up[60:660, 440:840] = cv2.resize(package(5), (400, 600))
    assert seen(room, held_up) == "changed"


def test_a_blurred_frame_waits_for_a_sharp_one():
    before = [noisy(scene(), seed) for seed in range(4)]
    after = scene()
    after[100:600, 500:800] = cv2.resize(package(3), (300, 500))
    for blurred in (cv2.GaussianBlur(after, (0, 0), 8), cv2.blur(after, (41, 1)), cv2.blur(after, (1, 41))):
        assert verdicts(*before, blurred, after, gate=FrameGate(GateSettings(max_wait_s=2.0)))[4:] == [
            "blurred",
            "changed",
        ]


def test_no_frame_waits_longer_than_the_limit():
    gate = FrameGate(GateSettings(max_wait_s=1.0))
    sharp = [noisy(scene(), seed) for seed in range(4)]
    soft = [cv2.GaussianBlur(scene(seed), (0, 0), 8) for seed in (1, 2, 3, 4, 5, 6)]
    reasons = verdicts(*sharp, *soft, gate=gate, rate_hz=2.0)
    assert reasons[4:7] == ["blurred", "blurred", "changed"]
    # From then on soft is how this room looks.
    assert reasons[7:] == ["changed"] * 3


def test_a_wait_of_nought_is_no_wait():
    gate = FrameGate(GateSettings(max_wait_s=0.0))
    assert verdicts(scene(1), dissolve(scene(1), scene(2), 0.5), gate=gate) == ["first", "changed"]


def test_a_blank_picture_is_neither_sharp_nor_blurred():
    blank = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    assert signature(ArrayPicture(blank)).sharpness is None
    assert verdicts(scene(), scene(), scene(), scene(), blank)[4] == "changed"


def test_a_wanted_look_comes_once():
    gate = FrameGate()
    assert verdicts(scene(), gate=gate) == ["first"]
    worker = threading.Thread(target=gate.want_look)
    worker.start()
    worker.join()
    assert gate.decide(frame(noisy(scene(), 1), 1.0)).reason == "wanted"
    assert gate.decide(frame(noisy(scene(), 2), 2.0)).reason == "unchanged"


def test_a_wanted_look_waits_for_a_sharp_frame_and_is_not_forgotten():
    gate = FrameGate(GateSettings(max_wait_s=5.0))
    verdicts(*(noisy(scene(), seed) for seed in range(4)), gate=gate)
    gate.want_look()
    assert gate.decide(frame(cv2.GaussianBlur(scene(), (0, 0), 8), 4.0)).reason == "blurred"
    # Unchanged, but wanted still.
    assert gate.decide(frame(noisy(scene(), 9), 5.0)).reason == "wanted"


def test_time_that_jumps_back_forces_a_look():
    gate = FrameGate()
    gate.decide(frame(scene(), 500.0))
    assert gate.decide(frame(noisy(scene(), 1), 0.0)).reason == "forced"
    assert gate.decide(frame(noisy(scene(), 2), 1.0)).reason == "unchanged"


def test_another_size_starts_anew():
    assert verdicts(scene(), scene(width=HEIGHT, height=WIDTH)) == ["first", "first"]


@given(width=st.integers(1, 8000), height=st.integers(1, 8000))
def test_the_small_copy_keeps_the_aspect(width, height):
    small = thumbnail_size(width, height)
    assert max(small) == 160
    assert all(side % 4 == 0 and side >= 32 for side in small)
    if 1 / 4 < width / height < 4:
        assert small[0] / small[1] == pytest.approx(width / height, rel=0.06)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), gain=st.floats(0.85, 1.15), offset=st.floats(-10, 10))
def test_the_same_picture_differs_by_little_whatever_the_exposure(seed, gain, offset):
    random = np.random.default_rng(seed)
    soft = cv2.resize(random.integers(40, 180, (9, 16, 3)).astype(np.uint8), (320, 180))
    other = np.clip(soft * gain + offset, 0, 255).astype(np.uint8)
    difference = Reference(signature(ArrayPicture(soft))).difference(signature(ArrayPicture(other)))
    assert difference.strongest_levels < GateSettings().window_levels
    assert difference.hash_distance < GateSettings().hash_bits


def held_at(x: int, y: int) -> np.ndarray:
    """The studio with one more package held into it."""
    picture = scene()
    picture[y : y + 200, x : x + 150] = cv2.resize(package(77), (150, 200), interpolation=cv2.INTER_AREA)
    return picture


def test_a_look_at_the_product_before_has_a_roi_and_one_elsewhere_has_none():
    gate = FrameGate()
    place = (500 / WIDTH, 40 / HEIGHT, 650 / WIDTH, 240 / HEIGHT)
    for number, (picture, seen_then) in enumerate(
        [(scene(), InSight()), (held_at(500, 40), InSight({"A": place}, pending=True))]
    ):
        asked = frame(picture, float(number))
        decision = gate.decide(asked)
        assert decision.roi is None
        gate.on_result(Result(decision.submitted, seen_then))
    moved = frame(held_at(530, 50), 2.0)
    decision = gate.decide(moved)
    assert decision.needs_look
    x1, y1, x2, y2 = decision.with_roi(moved).roi_xyxy_px
    assert abs((x1 + x2) / 2 - 605) < 30
    assert abs((y1 + y2) / 2 - 150) < 30
    assert decision.with_roi(moved).picture is moved.picture
    another = frame(held_at(60, 480), 3.0)
    decision = gate.decide(another)
    assert (decision.needs_look, decision.roi) == (True, None)
    assert decision.with_roi(another) is another


def test_what_a_look_at_a_roi_passed_over_is_looked_at_soon_though_the_picture_holds_still():
    gate = FrameGate()
    seen = InSight({"A": (500 / WIDTH, 40 / HEIGHT, 650 / WIDTH, 240 / HEIGHT)}, pending=True)
    beside = held_at(500, 40)
    beside[480:680, 60:210] = held_at(60, 480)[480:680, 60:210]
    for at_s, picture, seen_then in [(0.0, scene(), InSight()), (1.0, held_at(500, 40), seen)]:
        gate.on_result(Result(gate.decide(frame(picture, at_s)).submitted, seen_then))
    decision = gate.decide(frame(beside, 1.5))
    assert decision.roi is not None
    gate.on_result(Result(decision.submitted, replace(seen, shown=frozenset("A"), pending=False)))
    assert gate.decide(frame(beside, 2.5)).reason == "unchanged"
    decision = gate.decide(frame(beside, 3.5))
    assert (decision.needs_look, decision.reason, decision.roi) == (True, "wanted", None)
    gate.on_result(Result(decision.submitted, replace(seen, shown=frozenset("A"), pending=False)))
    assert gate.decide(frame(beside, 6.0)).reason == "unchanged"


def test_while_a_result_is_pending_nothing_is_submitted_and_nothing_is_forgotten():
    gate = FrameGate()
    assert gate.decide(frame(scene(), 0.0), in_flight=True).reason == "first"
    assert gate.decide(frame(held_at(500, 40), 1.0), in_flight=True).reason == "pending"
    # The picture is still compared with the one that was asked about.
    assert gate.decide(frame(held_at(500, 40), 2.0)).reason == "changed"
    gate.want_look()
    assert gate.decide(frame(held_at(500, 40), 3.0), in_flight=True).reason == "pending"
    assert gate.decide(frame(held_at(500, 40), 4.0)).reason == "wanted"
    assert gate.decide(frame(held_at(500, 40), 14.0), in_flight=True).reason == "forced"
    assert (gate.counts["pending"], sum(gate.counts.values())) == (2, 6)


def test_one_that_does_not_track_waits_for_no_result():
    gate = FrameGate(GateSettings(track=False))
    gate.decide(frame(scene(), 0.0))
    assert gate.decide(frame(held_at(500, 40), 1.0), in_flight=True).needs_look
