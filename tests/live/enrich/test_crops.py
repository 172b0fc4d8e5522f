"""Which crops are made: never the scene, never a face; which products come before people."""

import io

import numpy as np
import pytest
from PIL import Image

from livecart.core.types import Detection, Detections
from livecart.live.enrich.crops import CropCache, ProductCrop, cut_out
from livecart.live.enrich.uncertain import UncertainCrops
from livecart.live.video.picture import ArrayPicture

RED, BLUE = (200, 30, 30), (30, 30, 200)
BOX = (200.0, 300.0, 400.0, 700.0)


def picture(width=720, height=1280, box=BOX):
    pixels = np.full((height, width, 3), BLUE, np.uint8)
    x1, y1, x2, y2 = map(int, box)
    pixels[y1:y2, x1:x2] = RED
    return ArrayPicture(pixels)


def opened(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def test_a_crop_is_the_box_with_a_border_and_no_larger_than_400_px():
    pixels = opened(cut_out(picture(), BOX, []))
    height, width = pixels.shape[:2]
    # 200 x 400 with 32 on each side, at 400 / 464.
    assert (width, height) == pytest.approx((264 * 400 / 464, 400), abs=2)
    assert np.abs(pixels[height // 2, width // 2] - RED).max() < 12
    assert np.abs(pixels[4, 4] - BLUE).max() < 12


def test_a_small_crop_is_not_enlarged():
    box = (100.0, 100.0, 160.0, 150.0)
    pixels = opened(cut_out(picture(box=box), box, []))
    assert pixels.shape[:2] == pytest.approx((59, 69), abs=2)


def test_a_face_in_the_border_leaves_the_border_out():
    pixels = opened(cut_out(picture(), BOX, [(420.0, 200.0, 480.0, 280.0), (425.0, 600.0, 500.0, 690.0)]))
    assert pixels.shape[:2] == pytest.approx((400, 200), abs=2)
    assert np.abs(pixels - RED).max() < 40


@pytest.mark.parametrize(
    "face",
    [
        (300.0, 400.0, 350.0, 460.0),
        (390.0, 650.0, 480.0, 760.0),
        (0.0, 0.0, 720.0, 1280.0),
        (405.0, 600.0, 500.0, 690.0),
    ],
    ids=["inside", "a corner", "around", "nearly"],
)
def test_no_crop_with_a_face(face):
    assert cut_out(picture(), BOX, [face]) == "face"


def test_a_crowd_of_which_faces_were_left_out_gives_no_crop():
    far_away = [(10.0 + x, 10.0, 15.0 + x, 15.0) for x in range(0, 640, 10)]
    assert isinstance(cut_out(picture(), BOX, far_away[:-1]), bytes)
    assert cut_out(picture(), BOX, far_away) == "face"


def test_never_the_scene_and_nothing_tiny():
    assert cut_out(picture(), (0.0, 0.0, 720.0, 1280.0), []) == "scene"
    assert cut_out(picture(), (-500.0, -500.0, 2000.0, 1000.0), []) == "scene"
    assert cut_out(picture(), (100.0, 100.0, 120.0, 400.0), []) == "small"
    assert cut_out(picture(), (710.0, 100.0, 900.0, 400.0), []) == "small"


def test_a_box_that_leaves_no_place_for_its_border_goes_without():
    box = (0.0, 0.0, 720.0, 890.0)  # 69.5 % of the picture
    assert opened(cut_out(picture(box=box), box, [])).shape[:2] == pytest.approx((400, 323), abs=2)


def crop(card_id, sku="1001", confidence=0.6):
    return ProductCrop("room-1", sku, card_id, confidence, "card" if card_id else "uncertain", b"jpeg", 1.0)


def test_the_cache_keeps_the_newest():
    cache = CropCache(most=3)
    for number in range(5):
        cache.keep(crop(f"card-{number}"))
    assert [cache.crop_of(f"card-{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert len(cache) == 3
    assert cache.crop_of("another") is None
    with pytest.raises(ValueError, match="without a card"):
        cache.keep(crop(None))


def detection(sku, confidence, box=BOX, threshold=0.7):
    return Detection(sku, sku, "https://shop.example.com", confidence, box, threshold=threshold)


class Room:
    """A room's uncertain products, second by second; every crop that is asked for is made at once."""

    def __init__(self):
        self.uncertain, self.at_s, self.made, self.reviewed = UncertainCrops(), 1000.0, [], []

    def look(self, *products, shown=(), after_s=1.0):
        self.at_s += after_s
        look = Detections("room-1", self.at_s, self.at_s, 720, 1280, products, {})
        wanted, over = self.uncertain.update(look, shown)
        for each in wanted:
            self.made.append((each.sku, each.reason, each.confidence))
            self.uncertain.keep(crop(None, each.sku, each.confidence))
        self.reviewed += [(each.sku, each.confidence) for each in over]


def test_an_unsure_product_comes_up_once_it_is_gone_with_its_surest_look():
    room = Room()
    for confidence in (0.55, 0.65, 0.56):
        room.look(detection("1001", confidence))
    assert room.made == [("1001", "uncertain", 0.55), ("1001", "uncertain", 0.65)]
    room.look()
    assert room.reviewed == []
    room.look(after_s=2.5)
    assert room.reviewed == [("1001", 0.65)]


def test_a_product_that_gets_its_card_is_not_uncertain():
    room = Room()
    room.look(detection("1001", 0.6))
    room.look(detection("1001", 0.65))
    room.look(detection("1001", 0.9), shown=["1001"])
    room.look(after_s=10)
    room.look(after_s=10)
    assert room.reviewed == []


def test_two_products_nearly_alike_are_a_close_call():
    room = Room()
    for _ in range(2):
        room.look(detection("1001", 0.9), detection("1002", 0.85), detection("1003", 0.5, (0.0, 0.0, 90.0, 90.0)))
    room.look(after_s=5)
    assert ("1001", "close", 0.9) in room.made
    assert sorted(room.reviewed) == [("1001", 0.9), ("1003", 0.5)]


def test_the_other_ones_card_settles_a_close_call():
    room = Room()
    for _ in range(2):
        room.look(detection("1001", 0.9), detection("1002", 0.85))
    room.look(detection("1002", 0.9), shown=["1002"])
    room.look(after_s=10)
    assert room.reviewed == []


def test_sure_products_boxless_ones_and_single_looks_are_nobodys_work():
    room = Room()
    for _ in range(3):
        room.look(detection("1001", 0.8), detection("1002", 0.6, None), detection("1003", 0.6, threshold=None))
    room.look(detection("1004", 0.6))
    room.look(after_s=10)
    assert room.reviewed == []
    assert {sku for sku, _, _ in room.made} == {"1004"}


def test_a_room_asks_about_a_product_once_in_ten_minutes():
    room = Room()
    for _ in range(3):
        room.look(detection("1001", 0.6))
        room.look(detection("1001", 0.6))
        room.look(after_s=60)
    assert len(room.reviewed) == 1
    room.look(detection("1001", 0.6), after_s=600)
    room.look(detection("1001", 0.6))
    room.look(after_s=60)
    assert len(room.reviewed) == 2


def test_uncertain_products_are_bounded_and_the_last_ones_come_up_when_the_room_ends():
    room = Room()
    boxes = [(x * 36.0, 0.0, x * 36.0 + 34, 60.0) for x in range(20)]
    for _ in range(2):
        room.look(*(detection(f"{number}", 0.6, box) for number, box in enumerate(boxes)))
    assert len(room.uncertain._open) == 16
    assert {each.sku for each in room.uncertain.close()} <= {str(number) for number in range(20)}
    assert room.uncertain.close() == []
