"""Composed frames: the same from the same seed, with a product of the promised size where the truth says it is."""

import io

import numpy as np
import pytest
from PIL import Image

from evaluation.compose import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Frame, compose, decode_rgb, plain, seed_for
from evaluation.cutout import cut_out
from evaluation.hand import cover
from tests.scripts.evaluation.drawn import COLOURS, bottle, scenery

RED = COLOURS["红茶 500ml"]
GREY = np.full((320, 180, 3), 128, np.uint8)


def pixels(frame: Frame) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(frame.jpeg)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Of a red bottle before grey."""
    return [compose(bottle(RED), GREY, sku="1", seed=seed) for seed in range(16)]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(frames: list[Frame]) -> None:
    again = compose(bottle(RED), GREY, sku="1", seed=3)
    assert again == frames[3]
    assert len({frame.jpeg for frame in frames}) == len(frames)
    assert plain(scenery(1), seed=5) == plain(scenery(1), seed=5)


def test_grab_cut_is_repeatable_too() -> None:
    photo = scenery(4, size=(120, 160)) // 4
    photo[40:130, 35:85] = bottle(RED, size=(50, 90))
    made = {compose(photo, GREY, sku="1", seed=9).jpeg for _ in range(3)}
    assert len(made) == 1


def test_the_box_is_of_the_promised_size_and_inside(frames: list[Frame]) -> None:
    for frame in frames:
        assert frame.truth is not None
        left, top, right, bottom = frame.truth.box_xyxy_px
        assert 0 <= left < right <= FRAME_WIDTH_PX
        assert 0 <= top < bottom <= FRAME_HEIGHT_PX
        assert 0.2 - 0.01 <= (bottom - top) / FRAME_HEIGHT_PX <= 0.6 + 0.01
    heights = [frame.truth.box_xyxy_px[3] - frame.truth.box_xyxy_px[1] for frame in frames if frame.truth]
    assert max(heights) > 1.8 * min(heights)


def test_the_box_is_tight_around_the_product_that_is_seen(frames: list[Frame]) -> None:
    checked = 0
    for frame in frames:
        assert frame.truth is not None
        if frame.truth.has_hand:
            continue
        seen = np.abs(pixels(frame) - 128).max(axis=-1) > 50
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        # Blur and compression move an edge by some pixels.
        assert np.abs(np.subtract(found, frame.truth.box_xyxy_px)).max() <= 14
        checked += 1
    assert checked > 6


def test_about_a_third_of_the_frames_have_a_hand(frames: list[Frame]) -> None:
    share = np.mean([frame.truth is not None and frame.truth.has_hand for frame in frames])
    assert 0.1 < share < 0.6


def test_frames_are_jpegs_of_a_phones_shape_whatever_the_background() -> None:
    for size in ((40, 900), (900, 40), (720, 1280), (3, 3)):
        frame = plain(scenery(2, size=size), seed=0)
        with Image.open(io.BytesIO(frame.jpeg)) as image:
            assert (image.format, image.size) == ("JPEG", (720, 1280))
        assert frame.truth is None


def test_a_wide_product_still_fits() -> None:
    wide = bottle(RED, size=(200, 120)).repeat(3, axis=1)
    for seed in range(4):
        truth = compose(wide, GREY, sku="1", seed=seed).truth
        assert truth is not None
        assert truth.box_xyxy_px[2] - truth.box_xyxy_px[0] <= FRAME_WIDTH_PX


def test_a_uniform_background_is_cut_away() -> None:
    cutout = cut_out(bottle(RED, size=(240, 400)))
    assert cutout.method == "flood"
    assert cutout.rgb.shape[:2] == cutout.alpha.shape
    assert cutout.alpha.shape[1] == pytest.approx(121, abs=6)
    body = cutout.rgb[cutout.alpha > 0.99].astype(int)
    # Nothing of the light background is left inside.
    assert (body.min(axis=-1) > 200).mean() < 0.01


def test_a_photo_without_an_outline_stays_whole_and_loses_only_its_bars() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 60, 3), dtype=np.uint8)
    whole = cut_out(noise)
    assert whole.method == "whole"
    assert np.array_equal(whole.rgb, noise)
    assert whole.alpha.min() == 1.0
    barred = np.full((100, 100, 3), 255, np.uint8)
    barred[:, 20:80] = noise
    assert np.array_equal(cut_out(barred).rgb, noise)


@pytest.mark.parametrize("photo", [np.zeros((1, 1, 3)), np.full((400, 3, 3), 255), np.zeros((60, 60, 3))])
def test_photos_with_nothing_in_them_are_whole(photo: np.ndarray) -> None:
    photo = photo.astype(np.uint8)
    assert cut_out(photo).method == "whole"
    assert compose(photo, GREY, sku="1", seed=0).truth is not None


@pytest.mark.parametrize("seed", range(12))
def test_a_hand_hides_some_and_at_most_half_of_the_product(seed: int) -> None:
    product = np.zeros((640, 360), np.float32)
    product[150:470, 120:220] = 1.0
    before = np.zeros((640, 360, 3), np.uint8)
    after = cover(before, product, np.random.default_rng(seed))
    hidden = (after.max(axis=-1) > 60)[product > 0].mean()
    assert 0.03 < hidden <= 0.5 + 0.02
    skin = after[(after.max(axis=-1) > 60) & (product > 0)].mean(axis=0)
    assert skin[0] > skin[1] > skin[2]


def test_seeds_of_many_things_go_by_their_names() -> None:
    assert seed_for(1, "a") == seed_for(1, "a") == 9774128227819998651
    assert len({seed_for(1, "a"), seed_for(2, "a"), seed_for(1, "b"), seed_for(1, "a", "")}) == 4


def test_photos_are_decoded_upright_and_on_white() -> None:
    image = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert decode_rgb(buffer.getvalue()).tolist() == [[[255, 255, 255]] * 4] * 2
    turned = Image.new("RGB", (4, 2), (9, 9, 9))
    exif = turned.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    assert decode_rgb(buffer.getvalue()).shape == (4, 2, 3)
