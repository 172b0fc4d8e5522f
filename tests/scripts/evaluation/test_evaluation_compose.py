"""Composed frames: the same from the same seed, with a product of the promised size where the truth says it is."""

import io

import numpy as np
import pytest
from PIL import Image

from evaluation.compose import ComposedFrame, compose
from evaluation.hand import cover
from tests.scripts.evaluation.drawn import COLOURS, bottle

RED = COLOURS["红茶 500ml"]
GREY = np.full((320, 180, 3), 128, np.uint8)


def pixels(frame: ComposedFrame) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(frame.jpeg)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def frames() -> list[ComposedFrame]:
    """Of a red bottle before grey."""
    return [compose(bottle(RED), GREY, sku="1", seed=seed) for seed in range(16)]


def test_the_box_is_tight_around_the_product_that_is_seen(frames: list[ComposedFrame]) -> None:
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
