"""The product on a plain page is found, and where nothing stands out the photo is taken whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from recognition.catalog.foreground import WHOLE, object_box
from tests.drawings import package

SIZE = (400, 500)


def page(*rectangles: tuple[int, int, int, int], colour: str = "white", ink: str = "darkred") -> Image.Image:
    photo = Image.new("RGB", SIZE, colour)
    for rectangle in rectangles:
        ImageDraw.Draw(photo).rectangle(rectangle, fill=ink)
    return photo


def shares(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
    return left / SIZE[0], top / SIZE[1], right / SIZE[0], bottom / SIZE[1]


@given(st.integers(20, 150), st.integers(20, 200), st.integers(120, 220), st.integers(120, 260))
def test_a_product_on_a_plain_page_is_found_wherever_it_is(left, top, width, height):
    box = object_box(page((left, top, left + width, top + height)))
    assert box == pytest.approx(shares(left, top, left + width, top + height), abs=0.015)


def test_a_page_with_jpeg_noise_and_a_soft_edge_is_plain():
    pixels = np.asarray(page((100, 100, 300, 400)).filter(ImageFilter.GaussianBlur(2))).astype(int)
    noise = np.random.default_rng(0).integers(-6, 7, pixels.shape)
    photo = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    assert object_box(photo) == pytest.approx(shares(100, 100, 300, 400), abs=0.02)


def test_a_cap_beside_its_bottle_belongs_to_it_and_a_crumb_does_not():
    bottle, cap, crumb = (120, 150, 280, 450), (130, 40, 270, 120), (360, 20, 370, 30)
    assert object_box(page(bottle)) == pytest.approx(shares(*bottle), abs=0.015)
    assert object_box(page(bottle, cap, crumb)) == pytest.approx(shares(120, 40, 280, 450), abs=0.015)


@pytest.mark.parametrize(
    "photo",
    [
        page(),
        page((190, 240, 205, 260)),  # a speck
        Image.fromarray(package(1)),  # print up to the border
        Image.effect_noise(SIZE, 120).convert("RGB"),
        Image.linear_gradient("L").convert("RGB"),
    ],
    ids=["blank", "speck", "print", "noise", "gradient"],
)
def test_where_nothing_stands_out_the_photo_is_whole(photo):
    assert object_box(photo) == WHOLE


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3), (3000, 8)])
def test_strips_and_dots_are_whole(size):
    assert object_box(Image.new("RGB", size, "white")) == WHOLE
    assert object_box(Image.effect_noise(size, 100).convert("RGB")) is not None


@given(st.integers(1, 40), st.integers(1, 40), st.randoms())
def test_the_box_is_never_empty_nor_outside(width, height, random):
    photo = Image.new("RGB", (width, height), "white")
    photo.putdata([random.choice([(255, 255, 255), (0, 0, 0)]) for _ in range(width * height)])
    left, top, right, bottom = object_box(photo)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
