"""Products found in frames: the right one where it is, none where there is none, each frame for itself."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from recognition.find.detector import Detector, FrameQuery
from recognition.find.views import intersection_over_union
from recognition.text.ocr import ReadLine
from tests.recognition.drawn_catalog import BLUE, NAMED, RED, RED_SHOWN, query, skus
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, ScriptedReader, build, frame, package, shown_in
from tests.snapshot_files import product

#: The first is red's, the others are blue's.
SHOWN = [
    pytest.param("red", RED, RED_SHOWN, id="red"),
    pytest.param("blue", BLUE, {"at": (400, 260), "scale": 0.7, "turned_deg": -20}, id="blue"),
    pytest.param("blue", BLUE, {"at": (300, 420), "scale": 1.6, "turned_deg": 4}, id="blue-near"),
]


def find(catalog, *queries: FrameQuery, reader: ScriptedReader | None = None):
    return Detector(PackageRuntime(), reader, WEIGHTS).find(catalog, queries).frames


@pytest.mark.parametrize(("sku", "held", "how"), SHOWN)
def test_the_right_product_is_found_where_it_is(catalog, sku, held, how):
    picture, box = shown_in(frame(), held, **how)
    [found] = find(catalog, query(catalog, picture))
    assert skus(catalog, found) == [sku]
    assert intersection_over_union(np.array(found.detections[0].box), np.array([box]))[0] > 0.4
    assert found.detections[0].evidence.photo > 0.5
    assert found.detections[0].evidence.text is None


def test_two_products_in_one_frame_are_both_found(catalog):
    picture, _ = shown_in(frame(), RED, at=(160, 250), scale=0.9, turned_deg=5)
    picture, _ = shown_in(picture, BLUE, at=(430, 560), scale=0.9, turned_deg=-8)
    [found] = find(catalog, query(catalog, picture))
    assert sorted(skus(catalog, found)) == ["blue", "red"]


@pytest.mark.parametrize(("sku", "held", "how"), SHOWN)
@pytest.mark.parametrize("mirror", [None, True])
def test_a_mirrored_product_is_found_where_it_is(catalog, sku, held, how, mirror):
    picture, (left, top, right, bottom) = shown_in(frame(), held, **how)
    left, right = picture.width - right, picture.width - left
    [found] = find(catalog, replace(query(catalog, ImageOps.mirror(picture)), mirror=mirror))
    assert skus(catalog, found) == [sku]
    assert found.mirrored is True
    expected = np.array([[left, top, right, bottom]])
    assert intersection_over_union(np.array(found.detections[0].box), expected)[0] > 0.4


def test_small_print_tells_that_a_frame_is_mirrored_on_a_closer_look(catalog):
    """In the whole of a large frame too few of its points agree."""
    picture, _ = shown_in(frame((1200, 1600)), RED, at=(500, 900), scale=0.6, turned_deg=8)
    [found] = find(catalog, query(catalog, ImageOps.mirror(picture)))
    assert (skus(catalog, found), found.mirrored) == (["red"], True)


def test_a_roi_of_a_mirrored_frame_is_where_it_is(catalog):
    picture, (left, top, right, bottom) = shown_in(frame(), RED, **RED_SHOWN)
    roi = (picture.width - right, top, picture.width - left, bottom)
    runtime = PackageRuntime()
    asked = replace(query(catalog, ImageOps.mirror(picture)), roi=roi, mirror=True)
    [found] = Detector(runtime, None, WEIGHTS).find(catalog, [asked]).frames
    assert skus(catalog, found) == ["red"]
    # The roi's crop, and the outline's: no dense pass.
    assert runtime.feature_batches == [1, 1]


def shifted(box: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    """The box moved to the right and down by that share of its sides."""
    wide, high = (box[2] - box[0]) * by, (box[3] - box[1]) * by
    return box[0] + wide, box[1] + high, box[2] + wide, box[3] + high


@pytest.mark.parametrize(("sku", "held", "how"), SHOWN)
@pytest.mark.parametrize("by", [-0.2, 0.0, 0.2])
def test_a_product_in_roi_is_found_by_two_passes_and_where_it_is(catalog, sku, held, how, by):
    picture, box = shown_in(frame(), held, **how)
    runtime = PackageRuntime()
    asked = replace(query(catalog, picture), roi=shifted(box, by))
    [found] = Detector(runtime, None, WEIGHTS).find(catalog, [asked]).frames
    assert skus(catalog, found) == [sku]
    assert intersection_over_union(np.array(found.detections[0].box), np.array([box]))[0] > 0.4
    # One of a crop, and one for its box: the frame was not searched.
    assert runtime.feature_batches == [1, 1]


def test_where_the_roi_shows_nothing_all_of_the_frame_is_searched(catalog):
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    plain = query(catalog, picture)
    [found] = find(catalog, replace(plain, roi=(520.0, 40.0, 590.0, 140.0)))
    [expected] = find(catalog, plain)
    assert skus(catalog, found) == ["red"]
    assert found.detections[0].box == expected.detections[0].box
    assert [seen.confidence for seen in found.detections] == [seen.confidence for seen in expected.detections]


def test_another_product_in_roi_is_told_from_the_one_before_and_neighbours_are_searched(catalog):
    picture, box = shown_in(frame(), BLUE, **RED_SHOWN)
    other, _ = shown_in(frame(), RED, at=(400, 260), scale=0.7, turned_deg=-20)
    blue, red = find(catalog, replace(query(catalog, picture), roi=box), query(catalog, other))
    assert (skus(catalog, blue), skus(catalog, red)) == (["blue"], ["red"])


@pytest.mark.parametrize(
    ("text", "passes", "reads"),
    [("珍珍荔枝味汽水", [1, 1], 1), ("康师傅红烧牛肉面", [1, 1, 4, 1], 2)],
    ids=["its own", "another's"],
)
def test_text_in_roi_may_make_a_likely_product_sure_and_else_all_of_the_frame_is_searched(
    tmp_path, text, passes, reads
):
    products = (msgspec.structs.replace(NAMED, sku="red", photos=("red.png",)), product("blue", photos=("blue.png",)))
    catalog = build(tmp_path, products, {"red.png": RED, "blue.png": BLUE}, PackageRuntime())
    weights = msgspec.structs.replace(WEIGHTS, none=8.0)
    picture, box = shown_in(frame(), RED.filter(ImageFilter.GaussianBlur(2.5)), **RED_SHOWN)
    runtime, reader = PackageRuntime(), ScriptedReader(text)
    plain = query(catalog, picture, text="auto")
    [found] = Detector(runtime, reader, weights).find(catalog, [replace(plain, roi=box)]).frames
    assert (runtime.feature_batches, reader.asked) == (passes, reads)
    [expected] = Detector(PackageRuntime(), reader, weights).find(catalog, [plain]).frames
    assert skus(catalog, found, least=0.5) == skus(catalog, expected, least=0.5) == ["red"]
    if reads == 2:
        assert [seen.confidence for seen in found.detections] == [seen.confidence for seen in expected.detections]


@pytest.mark.parametrize(
    "roi",
    [
        (-900.0, -900.0, 1.0, 1.0),
        (599.5, 799.5, 1e6, 1e6),
        (10.0, 10.0, 10.2, 10.2),
        (600.0, 800.0, 600.0, 800.0),
        (5.0, 5.0, 9.0, 9.0),
        (0.0, 300.0, 1e6, 304.0),
    ],
)
def test_a_roi_on_nearly_nothing_breaks_nothing(catalog, roi):
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    [found] = find(catalog, replace(query(catalog, picture), roi=roi))
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
    [found] = find(catalog, query(catalog, picture))
    assert skus(catalog, found) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 30)])
def test_a_frame_of_an_odd_size_breaks_nothing(catalog, size):
    [found] = find(catalog, query(catalog, Image.new("RGB", size, "red"), text="always"), reader=ScriptedReader("字"))
    assert all(0 <= seen.confidence <= 1 for seen in found.detections)


def test_a_picture_too_small_for_a_product_costs_no_search_and_its_neighbour_is_searched(catalog):
    runtime = PackageRuntime()
    detector = Detector(runtime, None, WEIGHTS)
    tiny = query(catalog, Image.new("RGB", (16, 16), "red"))
    for each in (tiny, replace(tiny, roi=(2.0, 2.0, 14.0, 14.0))):
        [found] = detector.find(catalog, [each]).frames
        assert (runtime.feature_batches, found.detections) == ([], [])
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    _, found = detector.find(catalog, [tiny, query(catalog, picture)]).frames
    assert skus(catalog, found) == ["red"]


def test_a_room_shows_its_own_products_and_those_for_all(catalog):
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    here = find(catalog, query(catalog, red, room="9"), query(catalog, blue, room="9"))
    elsewhere = find(catalog, query(catalog, red, room="11"), query(catalog, blue, room="11"))
    assert [skus(catalog, found) for found in here] == [["red"], ["blue"]]
    assert [skus(catalog, found) for found in elsewhere] == [[], ["blue"]]
    assert "red" not in skus(catalog, elsewhere[0], least=0.0)


def test_a_product_known_by_name_alone_is_found_by_its_text(with_named):
    reader = ScriptedReader("珍珍荔枝味", "荔枝味汽水")
    [found] = find(with_named, query(with_named, frame(), text="auto"), reader=reader)
    assert skus(with_named, found) == ["named"]
    assert found.detections[0].evidence.text > 0.3
    assert found.detections[0].evidence.photo is None
    assert [line.text for line in found.lines] == ["珍珍荔枝味", "荔枝味汽水"]
    [silent] = find(with_named, query(with_named, frame(), text="auto"), reader=ScriptedReader())
    assert skus(with_named, silent) == []
    [other] = find(with_named, query(with_named, frame(), text="auto"), reader=ScriptedReader("康师傅红烧牛肉面"))
    assert skus(with_named, other) == []


class PlacedReader(ScriptedReader):
    """Reads texts where they are."""

    def __init__(self, **texts: tuple[float, float, float, float]) -> None:
        super().__init__()
        self.placed = [ReadLine(text, 0.98, box) for text, box in texts.items()]

    def read(self, rgb, *, side_px=640):
        return self.placed


def test_a_product_known_by_name_alone_is_where_its_name_was_read(with_named):
    reader = PlacedReader(
        珍珍荔枝味汽水=(200.0, 400.0, 320.0, 430.0),
        珍珍荔枝=(210.0, 440.0, 300.0, 470.0),
        净含量=(20.0, 20.0, 90.0, 50.0),
    )
    [found] = find(with_named, query(with_named, frame(), text="auto"), reader=reader)
    assert skus(with_named, found) == ["named"]
    assert found.detections[0].box == (200.0, 400.0, 320.0, 470.0)


def test_a_name_that_is_drawn_over_the_picture_names_nothing(with_named):
    picture = frame()
    ImageDraw.Draw(picture).text((22, 602), "WWWWWWWW", fill=(255, 255, 255), font=ImageFont.load_default(32))
    over, printed = (20.0, 600.0, 270.0, 645.0), (200.0, 300.0, 450.0, 345.0)
    [silent] = find(with_named, query(with_named, picture, text="auto"), reader=PlacedReader(珍珍荔枝味汽水=over))
    assert skus(with_named, silent) == []
    assert [line.text for line in silent.lines] == ["珍珍荔枝味汽水"]
    [found] = find(with_named, query(with_named, picture, text="auto"), reader=PlacedReader(珍珍荔枝味汽水=printed))
    assert skus(with_named, found) == ["named"]


@pytest.mark.parametrize(
    ("text", "named", "reads"),
    [("never", True, 0), ("never", False, 0), ("always", False, 1), ("auto", True, 1), ("auto", False, 0)],
)
def test_text_is_read_as_asked_and_by_itself_where_it_can_change_the_answer(catalog, with_named, text, named, reads):
    # Print makes the product in this frame sure: only one that is known by its name could still matter.
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    served, reader = with_named if named else catalog, ScriptedReader()
    [found] = find(served, query(served, picture, text=text), reader=reader)
    assert reader.asked == reads
    assert found.scene.text_was_read == bool(reads)


def test_a_batch_gives_each_frame_what_it_would_get_alone(catalog):
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    wide = shown_in(frame((800, 600)), RED, at=(400, 300), scale=1.0, turned_deg=0)[0]
    queries = [query(catalog, picture) for picture in (red, frame(), blue, wide, ImageOps.mirror(red))]
    together = find(catalog, *queries)
    alone = [find(catalog, one)[0] for one in queries]
    assert [skus(catalog, found) for found in together] == [["red"], [], ["blue"], ["red"], ["red"]]
    assert [found.mirrored for found in together] == [False, None, False, False, True]
    for one, other in zip(together, alone, strict=True):
        assert [seen.product for seen in one.detections] == [seen.product for seen in other.detections]
        assert [seen.confidence for seen in one.detections] == pytest.approx([s.confidence for s in other.detections])
