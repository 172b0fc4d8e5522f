"""Products found in frames: the right one where it is, none where there is none, each frame for itself."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageFilter

from recognition.finder import Finder, Look
from recognition.regions import intersection_over_union
from tests.recognition.drawn_catalog import BLUE, NAMED, RED, RED_SHOWN, look, skus, two_packages
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, ScriptedReader, build, frame, package, shown_in
from tests.snapshot_files import product

#: The first is red's, the others are blue's.
SHOWN = [
    pytest.param("red", RED, RED_SHOWN, id="red"),
    pytest.param("blue", BLUE, {"at": (400, 260), "scale": 0.7, "turned_deg": -20}, id="blue"),
    pytest.param("blue", BLUE, {"at": (300, 420), "scale": 1.6, "turned_deg": 4}, id="blue-near"),
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return two_packages(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def with_named(tmp_path_factory):
    return two_packages(tmp_path_factory.mktemp("catalog"), NAMED)


def find(catalog, *looks: Look, reader: ScriptedReader | None = None):
    return Finder(PackageRuntime(), reader, WEIGHTS).find(catalog, looks).found


@pytest.mark.parametrize(("sku", "held", "how"), SHOWN)
def test_the_right_product_is_found_where_it_is(catalog, sku, held, how):
    picture, box = shown_in(frame(), held, **how)
    [found] = find(catalog, look(catalog, picture))
    assert skus(catalog, found) == [sku]
    assert intersection_over_union(np.array(found.sightings[0].box), np.array([box]))[0] > 0.4
    assert found.sightings[0].evidence.photo > 0.5
    assert found.sightings[0].evidence.text is None


def test_two_products_in_one_frame_are_both_found(catalog):
    picture, _ = shown_in(frame(), RED, at=(160, 250), scale=0.9, turned_deg=5)
    picture, _ = shown_in(picture, BLUE, at=(430, 560), scale=0.9, turned_deg=-8)
    [found] = find(catalog, look(catalog, picture))
    assert sorted(skus(catalog, found)) == ["blue", "red"]


def shifted(box: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    """The box moved to the right and down by that share of its sides."""
    wide, high = (box[2] - box[0]) * by, (box[3] - box[1]) * by
    return box[0] + wide, box[1] + high, box[2] + wide, box[3] + high


@pytest.mark.parametrize(("sku", "held", "how"), SHOWN)
@pytest.mark.parametrize("by", [-0.2, 0.0, 0.2])
def test_a_product_in_focus_is_found_by_two_passes_and_where_it_is(catalog, sku, held, how, by):
    picture, box = shown_in(frame(), held, **how)
    runtime = PackageRuntime()
    asked = replace(look(catalog, picture), focus=shifted(box, by))
    [found] = Finder(runtime, None, WEIGHTS).find(catalog, [asked]).found
    assert skus(catalog, found) == [sku]
    assert intersection_over_union(np.array(found.sightings[0].box), np.array([box]))[0] > 0.4
    # One of a crop, and one for its box: the frame was not searched.
    assert runtime.feature_batches == [1, 1]


def test_where_the_focus_shows_nothing_all_of_the_frame_is_searched(catalog):
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    plain = look(catalog, picture)
    [found] = find(catalog, replace(plain, focus=(520.0, 40.0, 590.0, 140.0)))
    [expected] = find(catalog, plain)
    assert skus(catalog, found) == ["red"]
    assert found.sightings[0].box == expected.sightings[0].box
    assert [seen.confidence for seen in found.sightings] == [seen.confidence for seen in expected.sightings]


def test_another_product_in_focus_is_told_from_the_one_before_and_neighbours_are_searched(catalog):
    picture, box = shown_in(frame(), BLUE, **RED_SHOWN)
    other, _ = shown_in(frame(), RED, at=(400, 260), scale=0.7, turned_deg=-20)
    blue, red = find(catalog, replace(look(catalog, picture), focus=box), look(catalog, other))
    assert (skus(catalog, blue), skus(catalog, red)) == (["blue"], ["red"])


@pytest.mark.parametrize(
    ("text", "passes", "reads"),
    [("珍珍荔枝味汽水", [1, 1], 1), ("康师傅红烧牛肉面", [1, 1, 6, 1], 2)],
    ids=["its own", "another's"],
)
def test_text_in_focus_may_make_a_likely_product_sure_and_else_all_of_the_frame_is_searched(
    tmp_path, text, passes, reads
):
    products = (msgspec.structs.replace(NAMED, sku="red", photos=("red.png",)), product("blue", photos=("blue.png",)))
    catalog = build(tmp_path, products, {"red.png": RED, "blue.png": BLUE}, PackageRuntime())
    weights = msgspec.structs.replace(WEIGHTS, none=8.0)
    picture, box = shown_in(frame(), RED.filter(ImageFilter.GaussianBlur(2.5)), **RED_SHOWN)
    runtime, reader = PackageRuntime(), ScriptedReader(text)
    plain = look(catalog, picture, text="auto")
    [found] = Finder(runtime, reader, weights).find(catalog, [replace(plain, focus=box)]).found
    assert (runtime.feature_batches, reader.asked) == (passes, reads)
    [expected] = Finder(PackageRuntime(), reader, weights).find(catalog, [plain]).found
    assert skus(catalog, found, least=0.5) == skus(catalog, expected, least=0.5) == ["red"]
    if reads == 2:
        assert [seen.confidence for seen in found.sightings] == [seen.confidence for seen in expected.sightings]


def test_what_text_names_elsewhere_does_not_count_as_found_in_focus(with_named):
    class AtTheTop(ScriptedReader):
        def read(self, rgb, *, side_px=640):
            return [replace(line, box=(400.0, 20.0, 590.0, 60.0)) for line in super().read(rgb)]

    picture, box = shown_in(frame(), RED.filter(ImageFilter.GaussianBlur(3)), at=(170, 560), scale=0.8, turned_deg=12)
    picture, _ = shown_in(picture, BLUE, at=(450, 400), scale=0.7, turned_deg=-8)
    weights = msgspec.structs.replace(WEIGHTS, none=2.5)
    finder = Finder(PackageRuntime(), AtTheTop("珍珍荔枝味汽水", "珍珍"), weights)
    plain = look(with_named, picture, text="auto")
    found, expected = finder.find(with_named, [replace(plain, focus=box), plain]).found
    assert skus(with_named, found) == skus(with_named, expected)
    assert "blue" in skus(with_named, found)


@pytest.mark.parametrize(
    "focus",
    [
        (-900.0, -900.0, 1.0, 1.0),
        (599.5, 799.5, 1e6, 1e6),
        (10.0, 10.0, 10.2, 10.2),
        (600.0, 800.0, 600.0, 800.0),
        (5.0, 5.0, 9.0, 9.0),
        (0.0, 300.0, 1e6, 304.0),
    ],
)
def test_a_focus_on_nearly_nothing_breaks_nothing(catalog, focus):
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    [found] = find(catalog, replace(look(catalog, picture), focus=focus))
    assert skus(catalog, found) == ["red"]


@pytest.mark.parametrize(
    "picture",
    [
        frame(seed=3),
        Image.new("RGB", (600, 800), "white"),
        shown_in(frame(), package(9, (40, 150, 60)), **RED_SHOWN)[0],
    ],
    ids=["a room", "white", "a package of another shop"],
)
def test_nothing_is_found_where_nothing_of_the_catalog_is(catalog, picture):
    [found] = find(catalog, look(catalog, picture))
    assert skus(catalog, found) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 30)])
def test_a_frame_of_an_odd_size_breaks_nothing(catalog, size):
    [found] = find(catalog, look(catalog, Image.new("RGB", size, "red"), text="always"), reader=ScriptedReader("字"))
    assert all(0 <= seen.confidence <= 1 for seen in found.sightings)


def test_a_picture_too_small_for_a_product_costs_no_search_and_its_neighbour_is_searched(catalog):
    class Counted(PackageRuntime):
        seen = 0

        def features(self, pixels):
            self.seen += len(pixels)
            return super().features(pixels)

    runtime = Counted()
    finder = Finder(runtime, None, WEIGHTS)
    tiny = look(catalog, Image.new("RGB", (16, 16), "red"))
    for each in (tiny, replace(tiny, focus=(2.0, 2.0, 14.0, 14.0))):
        [found] = finder.find(catalog, [each]).found
        assert (runtime.seen, found.sightings) == (0, [])
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    _, found = finder.find(catalog, [tiny, look(catalog, picture)]).found
    assert skus(catalog, found) == ["red"]


def test_a_room_shows_its_own_products_and_those_for_all(catalog):
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    here = find(catalog, look(catalog, red, room="9"), look(catalog, blue, room="9"))
    elsewhere = find(catalog, look(catalog, red, room="11"), look(catalog, blue, room="11"))
    assert [skus(catalog, found) for found in here] == [["red"], ["blue"]]
    assert [skus(catalog, found) for found in elsewhere] == [[], ["blue"]]
    assert "red" not in skus(catalog, elsewhere[0], least=0.0)


def test_a_product_known_by_name_alone_is_found_by_its_text(with_named):
    reader = ScriptedReader("珍珍荔枝味", "荔枝味汽水")
    [found] = find(with_named, look(with_named, frame(), text="auto"), reader=reader)
    assert skus(with_named, found) == ["named"]
    assert found.sightings[0].evidence.text > 0.3
    assert found.sightings[0].evidence.photo is None
    assert [line.text for line in found.lines] == ["珍珍荔枝味", "荔枝味汽水"]
    [silent] = find(with_named, look(with_named, frame(), text="auto"), reader=ScriptedReader())
    assert skus(with_named, silent) == []
    [other] = find(with_named, look(with_named, frame(), text="auto"), reader=ScriptedReader("康师傅红烧牛肉面"))
    assert skus(with_named, other) == []


@pytest.mark.parametrize(
    ("text", "named", "reads"),
    [("never", True, 0), ("never", False, 0), ("always", False, 1), ("auto", True, 1), ("auto", False, 0)],
)
def test_text_is_read_as_asked_and_by_itself_where_it_can_change_the_answer(catalog, with_named, text, named, reads):
    # Print makes the product in this frame sure: only one that is known by its name could still matter.
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    served, reader = with_named if named else catalog, ScriptedReader()
    [found] = find(served, look(served, picture, text=text), reader=reader)
    assert reader.asked == reads
    assert found.scene.text_was_read == bool(reads)


def test_without_a_reader_no_text_is_read(catalog):
    [found] = find(catalog, look(catalog, frame(), text="always"))
    assert (found.lines, found.scene.text_was_read) == ([], False)


def test_a_batch_gives_each_frame_what_it_would_get_alone(catalog):
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    wide = shown_in(frame((800, 600)), RED, at=(400, 300), scale=1.0, turned_deg=0)[0]
    looks = [look(catalog, picture) for picture in (red, frame(), blue, wide)]
    together = find(catalog, *looks)
    alone = [find(catalog, one)[0] for one in looks]
    assert [skus(catalog, found) for found in together] == [["red"], [], ["blue"], ["red"]]
    for one, other in zip(together, alone, strict=True):
        assert [seen.product for seen in one.sightings] == [seen.product for seen in other.sightings]
        assert [seen.confidence for seen in one.sightings] == pytest.approx([s.confidence for s in other.sightings])
