"""Drawn packages: what differs, what does not, and that the print can be told apart."""

import numpy as np
import pytest

from clips.designs import design_products
from clips.errors import ClipError
from clips.fonts import font, font_path
from clips.packaging import View, draw_package


@pytest.fixture(autouse=True)
def _with_font():
    try:
        font_path("sans")
    except ClipError as error:
        pytest.skip(str(error))


def test_every_character_of_a_print_has_a_glyph():
    missing = font("sans", 40).getmask("\uffff").getbbox(), bytes(font("sans", 40).getmask("\uffff"))
    for design in design_products(40, 0):
        text = design.name + design.kind.slogan + "净含量图片仅供参考详见背面"
        for character in text.replace(" ", ""):
            for face in ("sans", "serif"):
                mask = font(face, 40).getmask(character)
                assert (mask.getbbox(), bytes(mask)) != missing, character


@pytest.mark.parametrize("shape", ["bottle", "can", "box", "bag"])
def test_a_package_fills_its_outline_and_follows_its_view(shape):
    design = next(each for each in design_products(40, 0) if each.kind.shape == shape)
    plain = draw_package(design, View())
    assert plain.rgb.shape[:2] == plain.alpha.shape
    assert 0.5 < plain.alpha.mean() <= 1.0
    # Tight: something is there at each of the four sides.
    assert all(side.max() > 0.5 for side in (plain.alpha[0], plain.alpha[-1], plain.alpha[:, 0], plain.alpha[:, -1]))
    inside = plain.alpha > 0.9
    dark = draw_package(design, View(brightness=0.7))
    assert dark.rgb[inside].mean() == pytest.approx(0.7 * plain.rgb[inside].mean(), rel=0.05)
    lit = draw_package(design, View(light_from=0.8))
    assert np.abs(lit.rgb.astype(float) - plain.rgb)[inside].mean() > 2
    again = draw_package(design, View())
    assert np.array_equal(again.rgb, plain.rgb)
    assert np.array_equal(again.alpha, plain.alpha)
