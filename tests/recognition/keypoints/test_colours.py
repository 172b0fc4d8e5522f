"""Colours of a photo against those of a frame, cell by cell, once print has told how the photo lies there."""

import cv2
import numpy as np
import pytest

from recognition.keypoints.colours import NOT_COMPARED, cells_of, compare
from recognition.snapshot.format import CELLS

WHOLE = np.array([0.0, 0.0, 1.0, 1.0])
#: From shares of the photo to pixels of the frame: turned by 20 degrees, 240 by 300 pixels large.
TURNED = np.array([[225.5, -102.6, 220.0], [82.1, 281.9, 100.0]])


def label(liquid: tuple[int, int, int]) -> np.ndarray:
    """A bottle: blue cap, white label, and what is in it."""
    photo = np.full((300, 240, 3), liquid, np.uint8)
    photo[:60] = (40, 60, 200)
    photo[120:200, 30:210] = (240, 240, 235)
    return photo


def shown(photo: np.ndarray, matrix: np.ndarray = TURNED) -> np.ndarray:
    """A frame, 640 by 480, that shows the photo so."""
    to_frame = matrix @ np.diag([1 / photo.shape[1], 1 / photo.shape[0], 1.0])
    frame = np.full((480, 640, 3), (120, 130, 90), np.uint8)
    return cv2.warpAffine(photo, to_frame, (640, 480), dst=frame, borderMode=cv2.BORDER_TRANSPARENT)


PEACH, LYCHEE = (235, 150, 120), (170, 215, 130)


def test_the_same_product_is_alike_turned_and_in_another_light():
    frame = shown(label(PEACH))
    same = compare(cells_of(label(PEACH)), frame, TURNED, WHOLE)
    darker = compare(cells_of(label(PEACH)), (frame * 0.7).astype(np.uint8), TURNED, WHOLE)
    assert same.likeness > 0.9
    assert darker.likeness > 0.75
    assert same.cells == CELLS * CELLS


def test_a_pattern_survives_another_white_balance_and_one_colour_has_none():
    frame = shown(label(PEACH))
    warm = np.clip(frame * np.array([1.15, 1.0, 0.8]), 0, 255).astype(np.uint8)
    same = compare(cells_of(label(PEACH)), warm, TURNED, WHOLE)
    swapped = compare(cells_of(label(PEACH)[..., ::-1]), warm, TURNED, WHOLE)
    plain = compare(cells_of(np.full_like(label(PEACH), 200)), warm, TURNED, WHOLE)
    assert same.pattern > 0.9
    assert swapped.pattern < 0.3
    assert abs(plain.pattern) < 0.05


def test_another_flavour_of_the_brand_is_not():
    same = compare(cells_of(label(PEACH)), shown(label(PEACH)), TURNED, WHOLE)
    other = compare(cells_of(label(LYCHEE)), shown(label(PEACH)), TURNED, WHOLE)
    assert other.likeness < same.likeness - 0.3


def test_only_what_lies_around_the_agreeing_points_counts():
    photo = label(PEACH)
    photo[:, :100] = (10, 200, 10)
    right = compare(cells_of(photo), shown(label(PEACH)), TURNED, np.array([0.7, 0.2, 0.9, 0.9]))
    everything = compare(cells_of(photo), shown(label(PEACH)), TURNED, WHOLE)
    assert right.likeness > everything.likeness
    assert 0 < right.cells < everything.cells


@pytest.mark.parametrize("moved_px", [2000.0, -2000.0])
def test_what_lies_outside_of_the_frame_is_not_compared(moved_px):
    matrix = TURNED + np.array([[0, 0, moved_px], [0, 0, 0]])
    assert compare(cells_of(label(PEACH)), shown(label(PEACH)), matrix, WHOLE) == NOT_COMPARED
