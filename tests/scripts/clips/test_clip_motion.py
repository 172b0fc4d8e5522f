"""Where a product is at a time: in the middle of its show, at its edges, and in the picture that is drawn."""

import itertools

import numpy as np
import pytest

from clips.actors import Actor
from clips.cuts import Cut, cut_at, framed, plan_cuts
from clips.errors import ClipError
from clips.hands import GRIP_SHARE, HIDE_SHARE, Dress, make_hand, visible_share
from clips.hosts import _back_and_forth
from clips.motion import Key, Stage, Track, held, set_down
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


def test_yaw_narrows_the_product_and_brings_one_side_nearer():
    sprite = make_sprite(CUTOUT.rgb, CUTOUT.alpha)
    straight, turned = (outline_in(sprite, Pose(90, 160, 100, 0, yaw)) for yaw in (0, 35))
    assert np.ptp(turned[:, 0]) < 0.9 * np.ptp(straight[:, 0])
    left, right = (turned[turned[:, 0] < 90], turned[turned[:, 0] > 90])
    assert np.ptp(left[:, 1]) > np.ptp(right[:, 1]) + 3


def test_movement_smears_along_its_way_alone():
    sprite = make_sprite(CUTOUT.rgb, CUTOUT.alpha)
    sharp, smeared = (np.zeros((320, 180, 3), np.uint8) for _ in range(2))
    paint(sharp, sprite, Pose(90, 160, 80))
    paint(smeared, sprite, Pose(90, 160, 80), moved_px=(24.0, 0.0))
    assert (smeared[160, :, 0] > 5).sum() >= (sharp[160, :, 0] > 5).sum() + 18
    assert abs(int((smeared[:, 90, 0] > 125).sum()) - int((sharp[:, 90, 0] > 125).sum())) <= 2


def test_what_lies_outside_is_not_painted():
    frame = np.zeros((320, 180, 3), np.uint8)
    for pose in (Pose(-200, 160, 80), Pose(90, 900, 80), Pose(1e5, -1e5, 80)):
        paint(frame, make_sprite(CUTOUT.rgb, CUTOUT.alpha), pose)
    assert not frame.any()


@pytest.mark.parametrize("seed", range(12))
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
    track = Track((Key(1.0, Pose(-30, 160, 100)), Key(2.0, Pose(90, 160, 100)), Key(8.0, Pose(90, 160, 100))), 0.0, 0.0)
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


def test_a_show_that_the_clip_cuts_off_ends_with_the_clip():
    track = Track((Key(0.0, Pose(90, 160, 100)), Key(8.0, Pose(90, 160, 100))), 0.0, 0.0)
    assert actor(track).truth(SIZE, 30, 5.0).to_s == pytest.approx(5 - 1 / 30, abs=0.001)


def test_who_never_comes_in_is_not_in_the_truth():
    track = Track((Key(0.0, Pose(-100, 160, 100)), Key(8.0, Pose(-100, 160, 100))), 0.0, 0.0)
    assert actor(track).truth(SIZE, 30, 8.0) is None


@pytest.mark.parametrize("most", [GRIP_SHARE, HIDE_SHARE])
def test_a_hand_hides_what_the_truth_says_it_hides(most):
    hand = make_hand(CUTOUT, DRESS, seed=3, most=most)
    told = visible_share(hand, None, 0.0)
    assert 1 - most - 0.02 <= told < 0.97
    track = Track((Key(0.0, Pose(90, 160, 120)), Key(5.0, Pose(90, 160, 120))), 0.0, 0.0)
    bare, covered = (np.zeros((320, 180, 3), np.uint8) for _ in range(2))
    actor(track).draw(bare, 1.0)
    actor(track, grip=hand).draw(covered, 1.0)
    pure = (covered[..., 0] > 200) & (covered[..., 1] < 60)
    assert pure.sum() / red(bare).sum() == pytest.approx(told, abs=0.06)


def test_the_second_hand_comes_up_and_goes_again():
    hand = make_hand(CUTOUT, DRESS, seed=3, most=HIDE_SHARE)
    assert visible_share(None, hand, 8.0) == pytest.approx(1.0, abs=0.01)
    assert visible_share(None, hand, 0.0) < 0.9
    pose = Pose(90, 160, 120)
    track = Track((Key(0.0, pose), Key(1.0, pose, 1.0), Key(2.0, pose), Key(5.0, pose)), 0.0, 0.0)
    frames = [np.zeros((320, 180, 3), np.uint8) for _ in range(3)]
    for frame, t_s in zip(frames, (0.0, 1.0, 3.0), strict=True):
        actor(track, hider=hand).draw(frame, t_s)
    assert red(frames[1]).sum() < 0.95 * red(frames[0]).sum()
    assert np.array_equal(frames[0], frames[2])


def test_poses_are_smooth_between_keys_and_still_without_wobble():
    track = set_down(Stage(*SIZE, 0.6), 0.0, 8.0, np.random.default_rng(0))
    assert track.pose(3.0) == track.pose(5.0)
    way = np.array([track.pose(t_s).x_px for t_s in np.arange(0, 1, 1 / 60)])
    assert np.abs(np.diff(way)).max() < 8
    in_hand = held(Stage(*SIZE, 0.6), 0.0, 8.0, np.random.default_rng(0))
    poses = [in_hand.pose(t_s) for t_s in np.arange(1, 7, 0.5)]
    assert all(first != second for first, second in itertools.pairwise(poses))
    heights = [pose.height_px for pose in poses]
    assert max(heights) > 1.3 * min(heights)


def test_shows_that_do_not_fit_are_refused_with_the_number_that_does():
    rng = np.random.default_rng(0)
    with pytest.raises(ClipError, match="at most 9"):
        plan_slots(60.0, shows=10, still=False, rng=rng)
    slots = plan_slots(60.0, shows=9, still=False, rng=rng)
    assert all(first.stop_s < second.start_s for first, second in itertools.pairwise(slots))
    assert slots[-1].stop_s <= 60.0


def test_a_clip_is_played_back_and_forth():
    assert [_back_and_forth(index, 4) for index in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert {_back_and_forth(index, 1) for index in range(5)} == {0}


def test_cuts_fill_the_frame_with_a_part_of_the_picture():
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:, 80:] = 200
    assert framed(picture, Cut(0.0), SIZE).shape == (320, 180, 3)
    left, right = (framed(picture, Cut(0.0, 1.0, x), SIZE).mean() for x in (0.0, 1.0))
    assert (left, right) == (0.0, 200.0)
    copied = framed(picture, Cut(0.0), (160, 90))
    copied[:] = 7
    assert picture.max() == 200
    cuts = plan_cuts(60.0, np.random.default_rng(1))
    assert cuts[0].from_s == 0.0
    assert len(cuts) >= 4
    assert cut_at(cuts, cuts[2].from_s + 0.01) == cuts[2]
