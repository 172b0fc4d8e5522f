"""The gallery finds what comparing everything would find, among the products that are allowed, whoever asks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.index.photo_index import PhotoIndex
from recognition.keypoints.extract import unpack
from recognition.keypoints.votes import KeypointIndex
from tests.recognition.made_galleries import (
    DIMENSIONS,
    contents,
    plainly,
    queries_like,
    stored,
)

COUNT = 7


@settings(max_examples=40)
@given(st.data())
def test_a_small_gallery_answers_as_the_definition_says(tmp_path_factory, data):
    photos = sorted(data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 999)), max_size=12, unique=True)))
    made = contents(photos, products=6, views=data.draw(st.integers(1, 3)))
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=6, max_size=6).map(np.array))
    count, asked = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 4))
    queries = np.random.default_rng(3).standard_normal((asked, DIMENSIONS)).astype(np.float32)
    effort = data.draw(st.sampled_from(["coarse", "fine"]))

    index = PhotoIndex.open(stored(tmp_path_factory.mktemp("small"), made))
    scores, views = index.search(queries, count=count, allowed=allowed, effort=effort)

    wanted, products = plainly(made, queries, count, allowed)
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
    found = [[int(made.photo_product[made.view_photo[view]]) for view in row if view >= 0] for row in views]
    assert found == products
    assert scores.dtype == np.float32
    assert views.dtype == np.int64
    assert scores.shape == views.shape == (asked, count)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_large_gallery_finds_what_comparing_everything_finds(large, few_exact_views, tmp_path, indexed):
    made, snapshot = large if indexed else (large[0], stored(tmp_path, large[0], indexed=False))
    assert ("ann_photo_codes" in snapshot.extra) == indexed
    queries = queries_like(made, 60)
    scores, views = PhotoIndex.open(snapshot).search(queries, count=COUNT, allowed=None, effort="fine")
    wanted, products = plainly(made, queries, COUNT, None)
    shown = made.photo_product[made.view_photo]
    assert np.mean(shown[views[:, 0]] == [row[0] for row in products]) == 1.0
    np.testing.assert_allclose(scores[:, 0], wanted[:, 0], atol=1e-5)
    exact = np.einsum("qcd,qd->qc", made.view_vectors[views].astype(np.float32), queries)
    np.testing.assert_allclose(scores, exact, atol=1e-5)


def test_the_best_of_many_windows_is_found(large, few_exact_views):
    # Windows as a pass over a frame has them: a background that changes slowly, and a product in the middle of it.
    made, snapshot = large
    random = np.random.default_rng(8)
    ground = random.standard_normal((2, DIMENSIONS))
    share = np.linspace(0, 1, 400)[:, None]
    overlap = np.exp(-(((np.arange(400) - 200) / 25) ** 2))[:, None]
    view = made.view_vectors[417].astype(np.float64) * 8
    windows = (ground[0] * share + ground[1] * (1 - share)) * (1 - overlap) + view * overlap
    windows = (windows / np.linalg.norm(windows, axis=1, keepdims=True)).astype(np.float32)
    scores, views = PhotoIndex.open(snapshot).search(windows, count=1, allowed=None, effort="coarse")
    assert abs(int(scores[:, 0].argmax()) - 200) <= 1
    assert views[200, 0] == 417
    wanted, _ = plainly(made, windows, 1, None)
    best = np.argsort(-wanted[:, 0])[:40]
    assert (wanted[best, 0] - scores[best, 0]).max() < 0.01
    assert (scores <= wanted + 1e-5).all()


@pytest.mark.parametrize("kept", [2, 30, 200])
@pytest.mark.parametrize("effort", ["coarse", "fine"])
def test_only_allowed_products_are_found(large, few_exact_views, kept, effort):
    made, snapshot = large
    allowed = np.zeros(300, dtype=np.bool_)
    allowed[np.random.default_rng(kept).permutation(300)[:kept]] = True
    index = PhotoIndex.open(snapshot)
    queries = queries_like(made, 40)
    for _ in range(2):  # the second time from what the first has kept
        scores, views = index.search(queries, count=3, allowed=allowed, effort=effort)
        shown = made.photo_product[made.view_photo[views]]
        assert allowed[shown[views >= 0]].all()
        assert (views[:, :2] >= 0).all()
    if effort == "fine":
        np.testing.assert_allclose(scores[:, 0], plainly(made, queries, 1, allowed)[0][:, 0], atol=1e-5)


def test_searches_go_on_while_other_snapshots_are_opened(large, few_exact_views):
    made, snapshot = large
    index, packaging = PhotoIndex.open(snapshot), KeypointIndex.open(snapshot)
    queries = queries_like(made, 6)
    masks = [None, *(np.arange(300) % 5 != room for room in range(5))]
    wanted = [index.search(queries, count=4, allowed=mask, effort="fine")[1].tolist() for mask in masks]
    votes = packaging.votes(unpack(made.local_descriptors[:40])).tolist()
    stop = threading.Event()

    def opener() -> None:
        while not stop.is_set():
            PhotoIndex.open(snapshot, threads=2)
            KeypointIndex.open(snapshot, threads=2)

    def ask(number: int) -> bool:
        mask = masks[number % 6]
        same = index.search(queries, count=4, allowed=mask, effort="fine")[1].tolist() == wanted[number % 6]
        return same and packaging.votes(unpack(made.local_descriptors[:40])).tolist() == votes

    background = threading.Thread(target=opener)
    background.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            assert all(pool.map(ask, range(60)))
    finally:
        stop.set()
        background.join()


def test_a_search_uses_the_threads_it_was_given_in_any_thread(large, few_exact_views):
    made, snapshot = large
    index = PhotoIndex.open(snapshot, threads=1)
    seen = []

    def ask() -> None:
        faiss.omp_set_num_threads(2)
        index.search(queries_like(made, 1), count=1, allowed=None, effort="fine")
        seen.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [1]
