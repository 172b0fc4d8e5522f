"""Which crops are made: never the scene, never a face; which doubts come before people."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from livecart.pipeline.crops import CropBook, ProductCrop
from livecart.pipeline.cutting import cut_out
from livecart.pipeline.doubts import RoomDoubts
from livecart.pipeline.ingest.picture import ArrayPicture
from livecart.types import Candidate, Look

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


def test_never_the_scene_and_nothing_tiny():
    assert cut_out(picture(), (0.0, 0.0, 720.0, 1280.0), []) == "scene"
    assert cut_out(picture(), (-500.0, -500.0, 2000.0, 1000.0), []) == "scene"
    assert cut_out(picture(), (100.0, 100.0, 120.0, 400.0), []) == "small"
    assert cut_out(picture(), (710.0, 100.0, 900.0, 400.0), []) == "small"


def test_a_box_that_leaves_no_place_for_its_border_goes_without():
    box = (0.0, 0.0, 720.0, 890.0)  # 69.5 % of the picture
    assert opened(cut_out(picture(box=box), box, [])).shape[:2] == pytest.approx((400, 323), abs=2)


def crop(card_id, sku="1001", confidence=0.6):
    return ProductCrop("room-1", sku, card_id, confidence, "card" if card_id else "unsure", b"jpeg", 1.0)


def test_the_book_keeps_the_newest():
    book = CropBook(most=3)
    for number in range(5):
        book.keep(crop(f"card-{number}"))
    assert [book.crop_of(f"card-{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert len(book) == 3
    assert book.crop_of("another") is None
    with pytest.raises(ValueError, match="without a card"):
        book.keep(crop(None))


def candidate(sku, confidence, box=BOX, threshold=0.7):
    return Candidate(sku, sku, "https://shop.example.com", confidence, box, threshold=threshold)


class Doubting:
    """A room's doubts, second by second; every crop that is asked for is made at once."""

    def __init__(self):
        self.doubts, self.at_s, self.made, self.reviewed = RoomDoubts(), 1000.0, [], []

    def look(self, *candidates, shown=(), after_s=1.0):
        self.at_s += after_s
        look = Look("room-1", self.at_s, self.at_s, 720, 1280, candidates, {})
        wanted, over = self.doubts.take(look, shown)
        for each in wanted:
            self.made.append((each.candidate.sku, each.reason, each.candidate.confidence))
            self.doubts.keep(crop(None, each.candidate.sku, each.candidate.confidence))
        self.reviewed += [(each.sku, each.confidence) for each in over]


def test_an_unsure_product_comes_up_once_it_is_gone_with_its_surest_look():
    room = Doubting()
    for confidence in (0.55, 0.65, 0.56):
        room.look(candidate("1001", confidence))
    assert room.made == [("1001", "unsure", 0.55), ("1001", "unsure", 0.65)]
    room.look()
    assert room.reviewed == []
    room.look(after_s=2.5)
    assert room.reviewed == [("1001", 0.65)]


def test_a_product_that_gets_its_card_is_in_no_doubt():
    room = Doubting()
    room.look(candidate("1001", 0.6))
    room.look(candidate("1001", 0.65))
    room.look(candidate("1001", 0.9), shown=["1001"])
    room.look(after_s=10)
    room.look(after_s=10)
    assert room.reviewed == []


def test_two_products_nearly_alike_are_a_close_call():
    room = Doubting()
    for _ in range(2):
        room.look(candidate("1001", 0.9), candidate("1002", 0.85), candidate("1003", 0.5, (0.0, 0.0, 90.0, 90.0)))
    room.look(after_s=5)
    assert ("1001", "close", 0.9) in room.made
    assert sorted(room.reviewed) == [("1001", 0.9), ("1003", 0.5)]


def test_the_other_ones_card_settles_a_close_call():
    room = Doubting()
    for _ in range(2):
        room.look(candidate("1001", 0.9), candidate("1002", 0.85))
    room.look(candidate("1002", 0.9), shown=["1002"])
    room.look(after_s=10)
    assert room.reviewed == []


def test_sure_products_boxless_ones_and_single_looks_are_nobodys_work():
    room = Doubting()
    for _ in range(3):
        room.look(candidate("1001", 0.8), candidate("1002", 0.6, None), candidate("1003", 0.6, threshold=None))
    room.look(candidate("1004", 0.6))
    room.look(after_s=10)
    assert room.reviewed == []
    assert {sku for sku, _, _ in room.made} == {"1004"}


def test_a_room_asks_about_a_product_once_in_ten_minutes():
    room = Doubting()
    for _ in range(3):
        room.look(candidate("1001", 0.6))
        room.look(candidate("1001", 0.6))
        room.look(after_s=60)
    assert len(room.reviewed) == 1
    room.look(candidate("1001", 0.6), after_s=600)
    room.look(candidate("1001", 0.6))
    room.look(after_s=60)
    assert len(room.reviewed) == 2


def test_doubts_are_bounded_and_the_last_ones_come_up_when_the_room_ends():
    room = Doubting()
    boxes = [(x * 36.0, 0.0, x * 36.0 + 34, 60.0) for x in range(20)]
    for _ in range(2):
        room.look(*(candidate(f"{number}", 0.6, box) for number, box in enumerate(boxes)))
    assert len(room.doubts._open) == 16
    assert {each.sku for each in room.doubts.close()} <= {str(number) for number in range(20)}
    assert room.doubts.close() == []
