"""Where a product is at a time: in the middle of its show, at its edges, and in the picture that is drawn."""

import itertools

import numpy as np
import pytest

from clips.actors import Actor
from clips.errors import ClipError
from clips.hands import GRIP_SHARE, HIDE_SHARE, Dress, make_hand, visible_share
from clips.motion import Key, PoseTrack, Stage, held, set_down
from clips.products import ClipProduct
from clips.sprites import Pose, make_sprite, outline_in, paint
from clips.storyboard import LEAST_VISIBLE_S, plan_slots
from evaluation.cutout import Cutout

SIZE = (180, 320)
DRESS = Dress(skin=(200, 150, 120), sleeve=(40, 60, 90))
CUTOUT = Cutout(np.full((100, 60, 3), (250, 10, 10), np.uint8), np.ones((100, 60), np.float32), "flood")


def red(frame):
    return (frame[..., 0] > 128) & (frame[..., 1] < 128)


def actor(track, **hands):
    return Actor(ClipProduct("s", "n", CUTOUT), make_sprite(CUTOUT.rgb, CUTOUT.alpha), track, **hands)


def test_a_painted_sprite_lies_where_its_outline_says():
    sprite = make_sprite(CUTOUT.rgb, CUTOUT.alpha)
    for pose in (Pose(90, 160, 80), Pose(80, 140, 130, 25), Pose(110, 200, 120, -12, 30), Pose(90, 160, 20)):
        frame = np.full((320, 180, 3), 255, np.uint8)
        paint(frame, sprite, pose)
        rows, columns = np.nonzero(red(frame))
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        points = outline_in(sprite, pose)
        assert np.abs(np.array([*points.min(axis=0), *points.max(axis=0)]) - seen).max() <= 2, pose


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("aspect", [0.3, 1.0, 2.2])
def test_every_show_lasts_and_begins_and_ends_outside(seed, aspect):
    rng = np.random.default_rng(seed)
    cutout = Cutout(
        np.zeros((100, round(100 * aspect), 3), np.uint8), np.ones((100, round(100 * aspect)), np.float32), "flood"
    )
    slot = plan_slots(7.0, shows=1, still=False, rng=rng)[0]
    make = held if seed % 2 else set_down
    track = make(Stage(*SIZE, aspect), slot.start_s, slot.stop_s, rng)
    player = Actor(ClipProduct("s", "n", cutout), make_sprite(cutout.rgb, cutout.alpha), track)
    assert player.inside(slot.start_s, SIZE) < 0.1
    assert player.inside(slot.stop_s, SIZE) < 0.1
    truth = player.truth(SIZE, 30, 7.0)
    assert truth.to_s - truth.from_s >= LEAST_VISIBLE_S
    assert slot.start_s <= truth.from_s < truth.to_s <= slot.stop_s


def test_the_truth_begins_with_the_first_frame_that_shows_half_of_it():
    track = PoseTrack(
        (Key(1.0, Pose(-30, 160, 100)), Key(2.0, Pose(90, 160, 100)), Key(8.0, Pose(90, 160, 100))), 0.0, 0.0
    )
    player = actor(track)
    truth = player.truth(SIZE, 30, 10.0)
    # Half of it is inside when its middle crosses the edge.
    times = np.arange(1.0, 2.0, 1 / 30)
    crossing = next(t_s for t_s in times if track.pose(t_s).x_px >= 0)
    assert truth.from_s == pytest.approx(crossing, abs=0.002)
    assert truth.to_s == pytest.approx(8.0, abs=0.001)
    assert [box[0] for box in truth.boxes[:3]] == [1.4, 1.6, 1.8]
    assert truth.boxes[0][1] == 0.0
    assert truth.boxes[-1][1:] == pytest.approx((60, 110, 120, 210), abs=1)
    assert truth.visible[0] < 0.9
    assert truth.visible[-1] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("most", [GRIP_SHARE, HIDE_SHARE])
def test_a_hand_hides_what_the_truth_says_it_hides(most):
    hand = make_hand(CUTOUT, DRESS, seed=3, most=most)
    told = visible_share(hand, None, 0.0)
    assert 1 - most - 0.02 <= told < 0.97
    track = PoseTrack((Key(0.0, Pose(90, 160, 120)), Key(5.0, Pose(90, 160, 120))), 0.0, 0.0)
    bare, covered = (np.zeros((320, 180, 3), np.uint8) for _ in range(2))
    actor(track).draw(bare, 1.0)
    actor(track, grip=hand).draw(covered, 1.0)
    pure = (covered[..., 0] > 200) & (covered[..., 1] < 60)
    assert pure.sum() / red(bare).sum() == pytest.approx(told, abs=0.06)


def test_shows_that_do_not_fit_are_refused_with_the_number_that_does():
    rng = np.random.default_rng(0)
    with pytest.raises(ClipError, match="at most 9"):
        plan_slots(60.0, shows=10, still=False, rng=rng)
    slots = plan_slots(60.0, shows=9, still=False, rng=rng)
    assert all(first.stop_s < second.start_s for first, second in itertools.pairwise(slots))
    assert slots[-1].stop_s <= 60.0
