"""Drawn packages: what differs, what does not, and that the print can be told apart."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from clips.designs import design_products
from clips.errors import ClipError
from clips.fonts import font, font_path
from clips.packaging import View, draw_package
from clips.printing import print_front


@pytest.fixture(autouse=True)
def _with_font():
    try:
        font_path("sans")
    except ClipError as error:
        pytest.skip(str(error))


def test_designs_go_by_the_seed_and_do_not_depend_on_their_number():
    assert design_products(12, 4) == design_products(30, 4)[:12]
    assert {design.name for design in design_products(12, 4)} != {design.name for design in design_products(12, 5)}


@pytest.mark.parametrize("seed", range(5))
def test_a_catalog_has_all_shapes_no_product_twice_and_several_flavours_of_a_brand(seed):
    designs = design_products(40, seed)
    assert len({design.sku for design in designs}) == len({design.name for design in designs}) == 40
    assert {design.kind.shape for design in designs} == {"bottle", "can", "box", "bag"}
    assert max(Counter((design.brand, design.kind.name) for design in designs).values()) >= 3
    assert all(design.name.startswith(design.brand) and design.flavour.taste in design.name for design in designs)


def test_every_character_of_a_print_has_a_glyph():
    missing = font("sans", 40).getmask("\uffff").getbbox(), bytes(font("sans", 40).getmask("\uffff"))
    for design in design_products(40, 0):
        text = design.name + design.kind.slogan + "净含量图片仅供参考详见背面"
        for character in text.replace(" ", ""):
            for face in ("sans", "serif"):
                mask = font(face, 40).getmask(character)
                assert (mask.getbbox(), bytes(mask)) != missing, character


def test_variants_share_their_print_and_differ_in_colour():
    designs = design_products(40, 0)
    first = designs[0]
    second = next(each for each in designs[1:] if each.brand == first.brand and each.kind == first.kind)
    fronts = [np.asarray(print_front(each, (200, 300)), float) for each in (first, second)]
    assert np.abs(fronts[0].mean(axis=(0, 1)) - fronts[1].mean(axis=(0, 1))).max() > 15
    # The brand's badge has the same place and letters: its edges lie alike.
    edges = [np.abs(np.diff(front[15:60].mean(axis=-1), axis=1)) > 25 for front in fronts]
    assert (edges[0] & edges[1]).sum() > 0.5 * min(edge.sum() for edge in edges)


def test_different_products_print_different_fronts():
    fronts = [np.asarray(print_front(design, (60, 80)), float) for design in design_products(12, 0)]
    for place, front in enumerate(fronts):
        for other in fronts[place + 1 :]:
            assert np.abs(front - other).mean() > 3


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


def test_a_round_package_turns_its_print():
    design = next(each for each in design_products(40, 0) if each.kind.shape == "can")
    straight, turned = (draw_package(design, View(turn=turn)).rgb for turn in (0.0, 0.1))
    middle = np.s_[120:350, 100:160]
    assert np.abs(straight[middle].astype(float) - turned[middle]).mean() > 5


def test_a_missing_font_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr("clips.fonts._PACKAGE", "no_such_package_of_fonts")
    with pytest.raises(ClipError, match="pip install"):
        font_path("sans")


def test_a_print_is_as_large_as_asked():
    assert isinstance(print_front(design_products(1, 0)[0], (50, 70)), Image.Image)
    assert print_front(design_products(1, 0)[0], (50, 70)).size == (50, 70)
