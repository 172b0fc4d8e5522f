"""Averaged features as vectors whose inner product is the Bhattacharyya coefficient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recognition.vectors import hellinger

AVERAGES = arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 8)), elements=st.floats(-4, 1e4, width=32))


@given(AVERAGES)
def test_rows_have_norm_one_or_are_nothing(averages):
    rows = hellinger(averages)
    assert rows.shape == averages.shape
    assert rows.dtype == np.float32
    assert (rows >= 0).all()
    norms = np.linalg.norm(rows, axis=1)
    assert ((np.abs(norms - 1) < 1e-4) | (averages.max(axis=1) < 1e-12)).all()


@given(AVERAGES, st.sampled_from([0.25, 3.0]))
def test_brightness_changes_nothing(averages, factor):
    averages = np.where(averages < 0.01, 0, averages)
    np.testing.assert_allclose(hellinger(averages * np.float32(factor)), hellinger(averages), atol=1e-5)


def test_the_inner_product_is_the_bhattacharyya_coefficient():
    one, other = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 8.0]], dtype=np.float32)
    expected = np.sqrt(one / one.sum() * other / other.sum()).sum()
    rows = hellinger(np.stack([one, other]))
    assert float(rows[0] @ rows[1]) == pytest.approx(float(expected), abs=1e-6)


def test_negative_features_count_as_none():
    np.testing.assert_array_equal(
        hellinger(np.array([[-5.0, 4.0]], dtype=np.float32)), hellinger(np.array([[0.0, 4.0]], dtype=np.float32))
    )


def test_nothing_is_nothing():
    assert hellinger(np.zeros((2, 3), np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert hellinger(np.zeros((0, 3), np.float32)).shape == (0, 3)
