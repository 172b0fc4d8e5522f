"""Windows over a feature map, their vectors, and which of them are kept."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recognition.find.views import intersection_over_union, pool, suppress, windows_of

SIDES = st.integers(1, 24)
BOXES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)), max_size=12
).map(lambda boxes: np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], dtype=np.int64).reshape(-1, 4))


@given(SIDES, SIDES)
def test_windows_lie_in_the_map_each_once_and_the_whole_map_first(rows, columns):
    cells = windows_of(rows, columns).cells
    assert cells[0].tolist() == [0, 0, columns, rows]
    assert len({tuple(box) for box in cells.tolist()}) == len(cells)
    assert (cells[:, :2] >= 0).all()
    assert (cells[:, 2] <= columns).all()
    assert (cells[:, 3] <= rows).all()
    assert (cells[:, 2:] > cells[:, :2]).all()


@given(
    st.sampled_from([(20, 12), (12, 20), (20, 20)]),
    st.floats(3, 20),
    st.floats(0.4, 1.2),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_any_product_has_a_window_that_overlaps_it_well(shape, height, aspect, across, down):
    rows, columns = shape
    height = min(height, rows)
    width = min(max(height * aspect, 2.0), columns)
    left, top = across * (columns - width), down * (rows - height)
    product = np.array([left, top, left + width, top + height])
    assert intersection_over_union(product, windows_of(rows, columns).cells).max() > 0.45


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_pooling_averages_the_cells_of_each_window(rows, columns, seed):
    windows = windows_of(rows, columns)
    feature_map = np.random.default_rng(seed).random((5, rows, columns)).astype(np.float32)

    found = pool(feature_map, windows)

    averages = np.stack(
        [feature_map[:, top:bottom, left:right].mean(axis=(1, 2)) for left, top, right, bottom in windows.cells]
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, averages, atol=1e-5)


@given(BOXES, st.data())
def test_what_is_kept_is_best_and_apart_and_what_is_not_lies_on_something_better(cells, data):
    scores = np.array(
        data.draw(st.lists(st.integers(0, 5), min_size=len(cells), max_size=len(cells))), dtype=np.float32
    )
    overlap = data.draw(st.sampled_from([0.0, 0.3, 0.5]))

    kept = suppress(cells, scores, count=99, overlap=overlap)

    assert [scores[index] for index in kept] == sorted((scores[index] for index in kept), reverse=True)
    for position, index in enumerate(kept):
        assert (intersection_over_union(cells[index], cells[kept[:position]]) <= overlap).all()
    for index in set(range(len(cells))) - set(kept):
        on = intersection_over_union(cells[index], cells[kept])
        assert (scores[kept][on > overlap] >= scores[index]).any()
