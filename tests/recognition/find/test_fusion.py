"""Confidences: more evidence never makes a product less likely, and two that look alike share what there is."""

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.find.fusion import CANDIDATES, EvidenceRows, Weights, confidences, features
from tests.recognition.drawn_packages import WEIGHTS

EVIDENCE = ("salience", "points", "read_packaging", "read_name", "label")


def rows(count: int = 1, *, has_photos: bool = True, **columns: float | list[float]) -> EvidenceRows:
    """``count`` candidates; a column that is not named is 0, the mass of names 10."""
    given_columns = {"name_mass": 10.0, **columns}
    made = {
        field.name: np.broadcast_to(np.asarray(given_columns.get(field.name, 0.0), np.float32), (count,)).copy()
        for field in dataclasses.fields(EvidenceRows)
    }
    return EvidenceRows(**{**made, "has_photos": np.full(count, has_photos)})


def sure(evidence: EvidenceRows, weights: Weights = WEIGHTS) -> np.ndarray:
    return confidences(features(evidence), weights)


@st.composite
def candidates(draw) -> EvidenceRows:
    count = draw(st.integers(1, 30))

    def column(most: float) -> np.ndarray:
        return np.array(draw(st.lists(st.floats(0, most, width=32), min_size=count, max_size=count)), np.float32)

    return EvidenceRows(
        photo=column(1.0),
        salience=column(30.0),
        points=column(200.0),
        colours=column(1.0),
        pattern=column(2.0) - 1.0,
        read_packaging=column(40.0),
        read_name=column(40.0),
        name_mass=column(40.0) + 1.0,
        foreign=column(5.0),
        label=column(1.0),
        has_photos=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count))),
    )


@given(candidates())
def test_confidences_are_probabilities_that_leave_room_for_none_of_them(evidence):
    found = sure(evidence)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.sum() <= 1 + 1e-9


@given(candidates(), st.sampled_from(EVIDENCE), st.floats(0.0, 20.0, width=32), st.integers(0, 29))
def test_more_evidence_never_makes_a_product_less_likely_nor_the_others_more(evidence, name, more, row):
    row %= len(evidence.photo)
    raised = getattr(evidence, name).copy()
    raised[row] += more
    before, after = sure(evidence), sure(dataclasses.replace(evidence, **{name: raised}))
    assert after[row] >= before[row] - 1e-9
    if len(before) <= CANDIDATES:
        assert np.delete(after, row).sum() <= np.delete(before, row).sum() + 1e-9


def test_what_its_photos_and_name_do_not_have_makes_a_product_less_likely():
    weights = msgspec.structs.replace(WEIGHTS, read_foreign=2.0)
    none, one, two, many = (float(sure(rows(points=20, foreign=count), weights)[0]) for count in (0, 1, 2, 9))
    assert none > one > two == many
    alone = (float(sure(rows(has_photos=False, read_name=9, foreign=count), weights)[0]) for count in (0, 1))
    assert len(set(alone)) == 1


@pytest.mark.parametrize("has_photos", [True, False])
@pytest.mark.parametrize("name", EVIDENCE)
def test_each_kind_of_evidence_counts_where_it_can_be_had(name, has_photos):
    strong = {"salience": 0.95, "points": 40.0, "read_packaging": 9.0, "read_name": 9.0, "label": 0.9}[name]
    bare = sure(rows(2, has_photos=has_photos))
    shown = sure(rows(2, has_photos=has_photos, **{name: [strong, 0.0]}))
    counts = name not in {"salience", "read_packaging"} or has_photos
    assert (shown[0] / shown[1] > bare[0] / bare[1] * 1.1) == counts
    assert shown[0] >= bare[0]


def test_text_that_another_product_shares_speaks_against_a_product():
    evidence = {"salience": 0.9, "points": 20.0}
    shares = sure(rows(2, read_packaging=[12.0, 11.0], **evidence))
    lacks = sure(rows(2, read_packaging=[12.0, 1.0], **evidence))
    alone = sure(rows(1, **evidence))
    assert shares[1] > 0.3
    assert lacks[1] < 0.05
    # Its sister that the catalog does not have would share as much: it makes a product no surer than its print does.
    np.testing.assert_allclose(sure(rows(1, read_packaging=12.0, **evidence)), alone)


def test_a_close_second_takes_confidence_from_the_first():
    alone = sure(rows(1, salience=0.9, points=20.0))
    second = sure(rows(2, salience=[0.9, 0.89], points=[20.0, 20.0]))
    far = sure(rows(2, salience=[0.9, 0.6], points=[20.0, 0.0]))
    assert alone[0] > 0.9
    assert far[0] > 0.9
    assert second[0] < 0.7
    assert second[0] > second[1]
