"""Averaged features as vectors whose inner product is the Bhattacharyya coefficient."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recognition.errors import ConfigurationError
from recognition.index import vectors
from recognition.index.vectors import PLAIN, Background, VectorSpace, hellinger, load_space, save_space

AVERAGES = arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 8)), elements=st.floats(-4, 1e4, width=32))


@given(AVERAGES)
def test_rows_have_norm_one_or_are_nothing(averages):
    rows = hellinger(averages)
    assert rows.shape == averages.shape
    assert rows.dtype == np.float32
    assert (rows >= 0).all()
    norms = np.linalg.norm(rows, axis=1)
    assert ((np.abs(norms - 1) < 1e-4) | (averages.max(axis=1) < 1e-12)).all()


def test_the_inner_product_is_the_bhattacharyya_coefficient():
    one, other = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 8.0]], dtype=np.float32)
    expected = np.sqrt(one / one.sum() * other / other.sum()).sum()
    rows = hellinger(np.stack([one, other]))
    assert float(rows[0] @ rows[1]) == pytest.approx(float(expected), abs=1e-6)


def background(dimensions: int, seed: int = 0) -> Background:
    random = np.random.default_rng(seed)
    axes = random.random((dimensions, 2)).astype(np.float32)
    return Background(random.random(dimensions).astype(np.float32), axes, 0.25)


def test_a_fitted_space_counts_its_axes_alone():
    mean, axes = np.full(3, 0.5, np.float32), np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]], np.float32)
    space = VectorSpace("fitted", mean, axes)
    averages = np.array([[4.0, 4.0, 8.0], [1.0, 7.0, 8.0]], np.float32)

    found = space.vectors(averages)

    expected = (hellinger(averages) - mean) @ axes
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert (space.dimensions(3), PLAIN.dimensions(3)) == (2, 3)


def test_a_space_is_read_as_it_was_written(monkeypatch, tmp_path):
    monkeypatch.setattr(vectors, "_FOLDER", tmp_path)
    random = np.random.default_rng(0)
    mean, axes = random.random(6).astype(np.float32), random.random((6, 4)).astype(np.float32)
    save_space("mine", mean, axes, windows=background(4), crops=background(4, seed=2))

    space = load_space("mine", 6)

    np.testing.assert_allclose(space.mean, mean, atol=1e-3)
    np.testing.assert_allclose(space.axes, axes, atol=1e-3)
    np.testing.assert_allclose(space.windows.axes, background(4).axes, atol=1e-3)
    np.testing.assert_allclose(space.crops.axes, background(4, seed=2).axes, atol=1e-3)
    save_space("mine", mean, axes, windows=background(4, seed=1), crops=background(4))
    assert load_space("mine", 6).name == space.name, "no snapshot needs to be made anew"
    save_space("mine", mean, axes + 1, windows=background(4), crops=background(4))
    assert load_space("mine", 6).name != space.name


def test_moments_are_those_of_similarities_to_the_background():
    random = np.random.default_rng(0)
    parts = random.normal(size=(20_000, 4)) @ np.diag([0.5, 0.2, 0.1, 0.1]) + [0.3, 0.0, 0.1, 0.0]
    spread = np.diag([0.5, 0.2])
    fitted = Background(
        parts.mean(axis=0).astype(np.float32), np.vstack([spread, np.zeros((2, 2))]).astype(np.float32), 0.01
    )
    view = np.array([[0.6, 0.0, 0.8, 0.0]], np.float32)
    shares = (parts @ view[0]).astype(np.float32)
    [mean], [spread] = fitted.moments(view)
    assert mean == pytest.approx(shares.mean(), abs=0.01)
    assert spread == pytest.approx(shares.std(), rel=0.02)


def test_a_space_of_another_network_or_a_broken_one_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(vectors, "_FOLDER", tmp_path)
    zeros = np.zeros(6, np.float32), np.zeros((6, 4), np.float32)
    save_space("mine", *zeros, windows=background(4), crops=background(5))
    with pytest.raises(ConfigurationError, match="background is of another space"):
        load_space("mine", 6)
    path = save_space("mine", *zeros, windows=background(4), crops=background(4))
    with pytest.raises(ConfigurationError, match="is for 6 channels, mine has 7"):
        load_space("mine", 7)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match="fit_projection"):
        load_space("mine", 6)


def test_every_stored_space_fits_the_network_of_its_name():
    space = load_space("efficientnet-lite2", 1280)
    assert space.dimensions(1280) == 512
    assert np.isfinite(space.axes).all()
    assert min(space.windows.rest, space.crops.rest) > 0
