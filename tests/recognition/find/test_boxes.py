"""The outline of a product, from how much each part of its surroundings resembles the product's photos."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recognition.find.boxes import (
    FEATURES,
    OUTPUTS,
    TERMS,
    BoxFit,
    Middle,
    Surroundings,
    middle_of,
    refined,
    surroundings_of,
)
from recognition.find.scene import PhotoPlace
from recognition.find.views import intersection_over_union
from recognition.index.vectors import CROP_PX, PLAIN

SIZE = (640, 480)
CELLS = CROP_PX // 32
PRODUCT = np.array([[1.0, 0.0]], np.float32)


def overlap(a, b) -> float:
    return float(intersection_over_union(np.array(a), np.array([b]))[0])


def map_of(product: tuple[float, float, float, float], part: tuple[float, float, float, float]) -> np.ndarray:
    """Two features: how much of each cell shows the product, and how much something else."""
    scale = CROP_PX / max(part[2] - part[0], part[3] - part[1])
    pad = [(CROP_PX - (part[axis + 2] - part[axis]) * scale) / 2 for axis in (0, 1)]
    canvas = np.zeros((CROP_PX, CROP_PX), np.float32)
    x1, x2 = (int((x - part[0]) * scale + pad[0]) for x in product[::2])
    y1, y2 = (int((y - part[1]) * scale + pad[1]) for y in product[1::2])
    canvas[max(0, y1) : y2, max(0, x1) : x2] = 1.0
    shown = canvas.reshape(CELLS, 32, CELLS, 32).mean(axis=(1, 3))
    return np.stack([shown, 1.0 - shown])


def better_box(found, around, truth):
    middle = middle_of(around, map_of(truth, around.part), views=PRODUCT, space=PLAIN)
    assert middle is not None
    return refined(found, middle, None, frame_size=SIZE, fit=None)


@given(st.floats(0.6, 1.4), st.floats(0.6, 1.4), st.floats(-40, 40), st.floats(-40, 40))
def test_a_box_that_is_off_comes_nearer_to_the_product(wide, high, right, down):
    truth = (220.0, 120.0, 380.0, 360.0)
    middle, half = (300 + right, 240 + down), (80 * wide, 120 * high)
    found = (middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1])
    around = surroundings_of(Image.new("RGB", SIZE), found)

    better = better_box(found, around, truth)

    assert overlap(better, truth) > min(0.55, overlap(found, truth) - 0.1)
    assert 0 <= better[0] < better[2] <= SIZE[0]
    assert 0 <= better[1] < better[3] <= SIZE[1]


def test_of_a_speck_nothing_is_concluded_or_something_inside_the_frame():
    around = Surroundings(np.zeros((CROP_PX, CROP_PX, 3), np.uint8), (0.0, 0.0, 1.0, 400.0))
    middle = middle_of(around, np.ones((2, CELLS, CELLS), np.float32), views=PRODUCT, space=PLAIN)
    if middle is not None:
        assert all(np.isfinite(refined((0.0, 100.0, 1.0, 300.0), middle, None, frame_size=SIZE, fit=None)))


def test_a_fit_is_used_where_print_tells_how_a_photo_lies():
    weights = np.zeros((TERMS, OUTPUTS))
    weights[-1] = 0.0, 0.0, np.log(0.5), np.log(0.5)
    zeros, ones = [0.0] * FEATURES, [1.0] * FEATURES
    half = BoxFit(backbone="test", fitted_on="nothing", means=zeros, spreads=ones, weights=weights.tolist())
    found = (100.0, 100.0, 300.0, 300.0)
    middle = Middle(found, 0.5)
    placed = PhotoPlace(outline=found, extent=found, in_photo=(0.0, 0.0, 1.0, 1.0))
    assert np.allclose(refined(found, middle, placed, frame_size=SIZE, fit=half), (150.0, 150.0, 250.0, 250.0))
    without = refined(found, middle, None, frame_size=SIZE, fit=half)
    assert without == refined(found, middle, placed, frame_size=SIZE, fit=None)
    assert without[0] <= 100.0
