"""Boxes and their overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.boxes import clip, intersection, iou, mirrored
from recognition.find.views import intersection_over_union

BOXES = st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(1, 100)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@pytest.mark.parametrize(
    ("one", "other", "shared", "share"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 16, 1),
        ((0, 0, 4, 4), (4, 0, 8, 4), 0, 0),
        ((0, 0, 4, 4), (2, 0, 6, 4), 8, 1 / 3),
        ((0, 0, 4, 4), (1, 1, 3, 3), 4, 1 / 4),
        ((0, 0, 10, 10), (0, 0, 10, 5), 50, 1 / 2),
        ((0, 0, 4, 4), (9, 9, 12, 12), 0, 0),
        ((0, 0, 4, 4), (1, 9, 3, 12), 0, 0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0, 0),
    ],
)
def test_overlap_by_hand(one, other, shared, share):
    assert intersection(one, other) == intersection(other, one) == shared
    assert iou(one, other) == iou(other, one) == pytest.approx(share)


@given(BOXES, BOXES)
def test_overlap_is_symmetric_a_share_and_the_same_for_arrays(a, b):
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, a) == pytest.approx(1)
    assert intersection_over_union(np.array(a), np.array([b, a])) == pytest.approx([iou(a, b), 1])


def test_a_mirrored_box_is_as_far_from_the_other_side():
    assert mirrored((10, 20, 30, 60), 100) == (70, 20, 90, 60)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((-5, -5, 900, 2000), (0, 0, 10, 20)),
        ((5, 6, 12, 15), (5, 6, 10, 15)),
        ((10, 0, 12, 5), None),
        ((-3, 1, 0, 5), None),
        ((3, 5, 1, 6), None),
        ((3, 5, 3, 6), None),
    ],
)
def test_a_box_is_cut_at_the_edges_and_none_where_nothing_is_left(box, inside):
    assert clip(box, 10, 20) == inside
