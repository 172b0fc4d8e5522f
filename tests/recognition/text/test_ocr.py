"""Reading drawn labels, whichever way they are turned, and pictures that hold nothing to read."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rapidocr.ch_ppocr_cls import TextClsOutput

from recognition.errors import ConfigurationError
from recognition.text import ocr
from recognition.text.ocr import ReadLine, TextReader
from tests import drawings

TEXTS = {"农夫山泉", "饮用天然水", "NONGFU SPRING"}


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(threads=1)


def texts(lines: list[ReadLine]) -> set[str]:
    return {line.text for line in lines}


def assert_ink_within(picture: np.ndarray, line: ReadLine) -> None:
    """The box lies in the picture and holds the line's print, without much paper around it."""
    left, top, right, bottom = line.box
    assert 0 <= left < right <= picture.shape[1]
    assert 0 <= top < bottom <= picture.shape[0]
    inside = picture[round(top) : round(bottom), round(left) : round(right)]
    ink = np.argwhere((inside < 128).any(axis=2))
    assert np.ptp(ink, axis=0).min() > 0.5 * min(inside.shape[:2])
    assert (inside < 128).any(axis=2).mean() > 0.05


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_reads_a_label_however_it_is_turned(reader, quarters):
    picture = np.ascontiguousarray(np.rot90(drawings.label(*sorted(TEXTS)), quarters))

    lines = reader.read(picture)

    assert texts(lines) == TEXTS
    for line in lines:
        assert line.confidence > 0.8
        assert_ink_within(picture, line)


def test_lines_that_were_wrongly_left_upside_down_are_turned(reader, monkeypatch):
    """On a real bottle the model that should turn them misses many: here it misses all."""

    def leave(crops):
        return crops, TextClsOutput(img_list=crops, cls_res=[("0", 1.0)] * len(crops), elapse=0.0)

    monkeypatch.setattr(reader._ocr, "cls_and_rotate", leave)

    upright = drawings.label("饮用天然水")
    assert texts(reader.read(upright)) == {"饮用天然水"}
    assert texts(reader.read(np.ascontiguousarray(upright[::-1, ::-1]))) == {"饮用天然水"}


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_boxes_are_in_pixels_of_the_picture_whatever_its_size(reader, scale):
    picture = cv2.resize(drawings.label("农夫山泉", "饮用天然水"), None, fx=scale, fy=scale)
    lines = reader.read(picture)
    assert texts(lines) == {"农夫山泉", "饮用天然水"}
    for line in lines:
        assert_ink_within(picture, line)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (300, 200)])
def test_pictures_without_text_have_no_lines(reader, shape):
    assert reader.read(np.full((*shape, 3), 128, np.uint8)) == []


def test_of_a_shelf_only_the_largest_labels_are_read(reader):
    picture = np.full((640, 640, 3), drawings.PAPER, np.uint8)
    for row in range(9):
        for column in range(4):
            drawings.write(picture, "SNACK", (20 + 160 * column, 190 + 48 * row), size_px=18)
    drawings.write(picture, "农夫山泉", (150, 100), size_px=70)

    lines = reader.read(picture)

    assert 20 <= len(lines) <= 24
    assert "农夫山泉" in texts(lines)


# What follows pins down when a picture is read again, with a reader that tells what it is told.


class Told:
    """Answers each call with the next of ``answers``: texts and confidences, all in one box."""

    def __init__(self, *answers: list[tuple[str, float]]) -> None:
        self.answers = list(answers)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, picture: np.ndarray) -> SimpleNamespace:
        self.shapes.append(picture.shape)
        lines = self.answers.pop(0)
        box = [[64, 32], [192, 32], [192, 64], [64, 64]]
        return SimpleNamespace(
            txts=tuple(text for text, _ in lines) or None,
            scores=tuple(confidence for _, confidence in lines),
            boxes=np.array([box] * len(lines), dtype=np.float32),
        )


def told(reader: TextReader, monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[str, float]]) -> Told:
    stand_in = Told(*answers)
    monkeypatch.setattr(reader, "_ocr", stand_in)
    return stand_in


def test_a_picture_with_hardly_a_certain_character_is_turned_once(reader, monkeypatch):
    stand_in = told(reader, monkeypatch, [("l一", 0.5)], [("农夫山泉", 0.9)])

    (line,) = reader.read(np.zeros((320, 640, 3), np.uint8))

    assert (line.text, line.confidence) == ("农夫山泉", 0.9)
    # Turned back from the picture that was 320 wide and 640 high: x is its y, y counts from the bottom.
    assert line.box == (32.0, 128.0, 64.0, 256.0)
    assert stand_in.shapes == [(384, 640, 3), (640, 384, 3)]


@pytest.mark.parametrize(("side_px", "scale"), [(320, 2.0), (640, 1.0), (1280, 0.5)])
def test_the_side_decides_how_large_print_appears(reader, monkeypatch, side_px, scale):
    stand_in = told(reader, monkeypatch, [("农夫山泉", 0.9)])
    (line,) = reader.read(np.zeros((640, 320, 3), np.uint8), side_px=side_px)
    # Both sides are padded to multiples of 128.
    assert stand_in.shapes == [{320: (384, 256, 3), 640: (640, 384, 3), 1280: (1280, 640, 3)}[side_px]]
    assert line.box == (64 * scale, 32 * scale, min(192 * scale, 320), 64 * scale)
    assert all(type(side) is float for side in line.box)


def test_missing_models_are_named(monkeypatch):
    monkeypatch.setattr(ocr, "_MODELS", {"Det": "no_such.onnx"})
    with pytest.raises(ConfigurationError, match=r"no_such\.onnx missing"):
        TextReader(threads=1)
