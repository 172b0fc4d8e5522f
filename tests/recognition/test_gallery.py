"""The gallery finds what comparing everything would find, follows its catalog, and refuses what does not fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognition import gallery, gallery_codes
from recognition.catalog_folder import CatalogProduct
from recognition.errors import SnapshotError
from recognition.gallery import PhotoIndex, PrintIndex, build_indexes
from recognition.gallery_codes import Rows, places_before
from recognition.local_features import pack, unpack
from recognition.snapshot import Snapshot, open_snapshot
from recognition.snapshot_write import SnapshotContents, write_snapshot
from tests.snapshot_files import FINGERPRINT, product

DIMENSIONS = 64
COUNT = 7


def contents(
    photos: Sequence[tuple[int, int]], *, products: int, features: int = 0, views: int = 2
) -> SnapshotContents:
    """``photos`` are (product, number): what a photo shows follows from its number alone, alike in each hundred."""
    vectors, packed = [], []
    for _, number in photos:
        centre = np.random.default_rng([1, number // 100]).standard_normal(DIMENSIONS)
        random = np.random.default_rng([2, number])
        vectors.append(centre + 0.4 * random.standard_normal((views, DIMENSIONS)))
        levels = np.abs(random.standard_normal((features, 128))).astype(np.float32)
        packed.append(pack(levels / np.linalg.norm(levels, axis=1, keepdims=True)))
    stacked = np.concatenate([np.zeros((0, DIMENSIONS)), *vectors])
    digests = [number.to_bytes(32, "little") for _, number in photos]
    return SnapshotContents(
        fingerprint=FINGERPRINT,
        products=tuple(product(str(index)) for index in range(products)),
        photo_product=np.array([shown for shown, _ in photos], dtype=np.int32),
        photo_digest=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        photo_cells=np.zeros((len(digests), 12, 12, 3), np.uint8),
        view_photo=np.repeat(np.arange(len(photos), dtype=np.int32), views),
        view_vectors=(stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float16),
        local_offsets=np.arange(len(photos) + 1, dtype=np.int64) * features,
        local_xy=np.zeros((len(photos) * features, 2), np.float16),
        local_descriptors=np.concatenate([np.zeros((0, 32), np.uint8), *packed]),
        lines=[()] * len(photos),
    )


def stored(folder: Path, made: SnapshotContents, previous: Snapshot | None = None, *, indexed: bool = True) -> Snapshot:
    path = folder / f"{np.random.default_rng().integers(1 << 60)}.snapshot"
    write_snapshot(path, replace(made, extra=build_indexes(made, previous) if indexed else {}))
    return open_snapshot(path, fingerprint=FINGERPRINT)


def shop(products: int, each: int = 3) -> list[tuple[int, int]]:
    return [(shown, shown * 100 + number) for shown in range(products) for number in range(each)]


def queries_like(made: SnapshotContents, count: int, noise: float = 0.04) -> NDArray[np.float32]:
    random = np.random.default_rng(5)
    near = made.view_vectors[random.integers(0, len(made.view_vectors), count)].astype(np.float32)
    near += noise * random.standard_normal(near.shape).astype(np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def plainly(
    made: SnapshotContents, queries: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], list[list[int]]]:
    """Scores and products, one product after the other, from the definition."""
    similarity = queries @ made.view_vectors.astype(np.float32).T
    shown = made.photo_product[made.view_photo]
    scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
    products = []
    for row, values in enumerate(similarity):
        best = {}
        for index in np.flatnonzero(np.ones(len(shown), bool) if allowed is None else allowed[shown]):
            best[int(shown[index])] = max(float(values[index]), best.get(int(shown[index]), -9.0))
        top = sorted(best, key=lambda item: -best[item])[:count]
        scores[row, : len(top)] = [best[item] for item in top]
        products.append(top)
    return scores, products


@pytest.fixture
def few_exact_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes from 100 views on, so that small catalogs are searched as large ones are."""
    monkeypatch.setattr(gallery, "EXACT_VIEWS", 100)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SnapshotContents, Snapshot]]:
    """300 products with 3 photos of 2 views, with codes and print."""
    made = contents(shop(300), products=300, features=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "EXACT_VIEWS", 100)
        yield made, stored(tmp_path_factory.mktemp("large"), made)


# ---- photos


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


def test_a_product_comes_once_by_its_best_view(tmp_path):
    made = contents(shop(4), products=4)
    queries = made.view_vectors.astype(np.float32)
    _, views = PhotoIndex.open(stored(tmp_path, made)).search(queries, count=2, allowed=None, effort="fine")
    assert views[:, 0].tolist() == list(range(len(queries)))
    assert (views[:, 1] // 6 != views[:, 0] // 6).all()


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


def test_nothing_allowed_finds_nothing(large, few_exact_views):
    made, snapshot = large
    index = PhotoIndex.open(snapshot)
    scores, views = index.search(queries_like(made, 3), count=2, allowed=np.zeros(300, np.bool_), effort="fine")
    assert (views == -1).all()
    assert np.isneginf(scores).all()


def test_rooms_kept_at_hand_stay_few(large, few_exact_views):
    made, snapshot = large
    index = PhotoIndex.open(snapshot)
    for room in range(20):
        allowed = np.arange(300) % 20 != room
        _, views = index.search(queries_like(made, 2), count=1, allowed=allowed, effort="fine")
        assert allowed[made.photo_product[made.view_photo[views]]].all()
    assert len(index._subsets) == 8


def test_searches_go_on_while_other_snapshots_are_opened(large, few_exact_views):
    made, snapshot = large
    index, prints = PhotoIndex.open(snapshot), PrintIndex.open(snapshot)
    queries = queries_like(made, 6)
    masks = [None, *(np.arange(300) % 5 != room for room in range(5))]
    wanted = [index.search(queries, count=4, allowed=mask, effort="fine")[1].tolist() for mask in masks]
    votes = prints.votes(unpack(made.local_descriptors[:40])).tolist()
    stop = threading.Event()

    def opener() -> None:
        while not stop.is_set():
            PhotoIndex.open(snapshot, threads=2)
            PrintIndex.open(snapshot, threads=2)

    def ask(number: int) -> bool:
        mask = masks[number % 6]
        same = index.search(queries, count=4, allowed=mask, effort="fine")[1].tolist() == wanted[number % 6]
        return same and prints.votes(unpack(made.local_descriptors[:40])).tolist() == votes

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


# ---- print


def test_photos_get_the_votes_of_their_own_print(large):
    made, snapshot = large
    index = PrintIndex.open(snapshot)
    for photo in (0, 3, 899):
        votes = index.votes(unpack(made.local_descriptors[photo * 4 : photo * 4 + 4]))
        assert votes.shape == (900,)
        assert votes.dtype == np.float32
        assert votes.argmax() == photo
        assert (votes >= 0).all()


def test_votes_follow_their_definition(tmp_path):
    # Few enough features that all lists are looked through.
    made = contents(shop(5), products=5, features=9)
    index = PrintIndex.open(stored(tmp_path, made))
    asked = unpack(made.local_descriptors[40:50])
    similarity = asked @ unpack(made.local_descriptors).T
    wanted = np.zeros(15)
    for values in similarity:
        nearest = np.argsort(-values)[:5]
        photos = nearest // 9
        for place in range(4):
            if photos[place] not in photos[:place]:
                wanted[photos[place]] += values[nearest[place]] - values[nearest[4]]
    np.testing.assert_allclose(index.votes(asked), wanted, atol=0.25)
    assert np.corrcoef(index.votes(asked), wanted)[0, 1] > 0.97


def test_no_descriptors_no_votes(large):
    votes = PrintIndex.open(large[1]).votes(np.zeros((0, 128), np.float32))
    assert votes.tolist() == [0.0] * 900


def test_fewer_neighbours_than_five_tell_nothing(tmp_path):
    made = contents([(0, 1)], products=1, features=3)
    votes = PrintIndex.open(stored(tmp_path, made)).votes(unpack(made.local_descriptors))
    assert votes.tolist() == [0.0]


def test_too_much_print_or_none_has_no_index(tmp_path, monkeypatch):
    assert PrintIndex.open(stored(tmp_path, contents(shop(3), products=3))) is None
    monkeypatch.setattr("recognition.gallery_print.MOST_FEATURES", 10)
    assert PrintIndex.open(stored(tmp_path, contents(shop(3), products=3, features=2))) is None


# ---- building


def test_no_photos_no_arrays(tmp_path):
    made = contents([], products=2)
    assert build_indexes(made, None) == {}
    _, views = PhotoIndex.open(stored(tmp_path, made)).search(
        np.ones((1, DIMENSIONS), np.float32), count=3, allowed=None, effort="fine"
    )
    assert views.tolist() == [[-1, -1, -1]]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=8),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=8),
)
def test_rows_are_traced_to_where_they_were(before, now):
    def rows(photos: Sequence[tuple[int, int]]) -> tuple[Rows, list[tuple[int, int, int]]]:
        digests = np.array([[digest] * 32 for digest, _ in photos], dtype=np.uint8).reshape(-1, 32)
        offsets = np.cumsum([0, *(count for _, count in photos)], dtype=np.int64)
        return Rows(digests, offsets), [(digest, count, row) for digest, count in photos for row in range(count)]

    (old, old_names), (new, new_names) = rows(before), rows(now)
    places = places_before(new, old)
    assert len(places) == len(new_names)
    last = dict(before)
    for name, place in zip(new_names, places, strict=True):
        assert (place >= 0) == (last.get(name[0]) == name[1])
        assert place < 0 or old_names[place] == name


def test_the_same_contents_make_the_same_bytes(large, few_exact_views):
    made, snapshot = large
    again = build_indexes(made, None)
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in snapshot.extra.items()
    }


def changed() -> list[tuple[int, int]]:
    """Every third product gone, those behind them moved up, photo 0 of the others gone, a new one in each."""
    return [(shown * 2 // 3, shown * 100 + number) for shown in range(300) if shown % 3 != 2 for number in (1, 2, 7)]


@pytest.mark.usefixtures("few_exact_views")
def test_a_changed_catalog_keeps_its_tables_and_encodes_only_what_is_new(large, tmp_path, monkeypatch):
    made = contents(changed(), products=200, features=4)
    encoded = []
    plain = gallery_codes.encode_rows

    def spy(fetch, encode, count, *, places, known):
        encoded.append((int((places < 0).sum()), count))
        return plain(fetch, encode, count, places=places, known=known)

    for module in ("gallery_scan", "gallery_print"):
        monkeypatch.setattr(f"recognition.{module}.encode_rows", spy)
        monkeypatch.setattr(f"recognition.{module}._fit", None)
    snapshot = stored(tmp_path, made, large[1])
    assert encoded == [(400, 1200), (800, 2400)]
    for name in ("ann_photo_basis", "ann_photo_centroids", "ann_print_centres", "ann_print_bounds"):
        assert (snapshot.extra[name] == large[1].extra[name]).all()

    queries = queries_like(made, 50)
    scores, views = PhotoIndex.open(snapshot).search(queries, count=3, allowed=None, effort="fine")
    np.testing.assert_allclose(scores[:, 0], plainly(made, queries, 1, None)[0][:, 0], atol=1e-5)
    assert views.max() < 1200
    for photo in (0, 2, 599):  # a photo that was there, and new ones
        assert PrintIndex.open(snapshot).votes(unpack(made.local_descriptors[photo * 4 :][:4])).argmax() == photo


@pytest.mark.usefixtures("few_exact_views")
def test_codes_do_not_depend_on_how_they_came_about(large):
    # Taken over row by row, or all encoded with the same tables. Products of matrices round as it suits their sizes.
    made = contents(changed(), products=200, features=4)
    taken_over = build_indexes(made, large[1])
    encoded = build_indexes(made, replace(large[1], photo_digest=np.full_like(large[1].photo_digest, 255)))
    assert taken_over.keys() == encoded.keys()
    for name, array in encoded.items():
        assert (taken_over[name] == array).mean() > 0.999, name


@pytest.mark.usefixtures("few_exact_views")
@pytest.mark.parametrize("products", [140, 620])
def test_a_catalog_of_another_size_gets_new_tables(large, products):
    made = contents(shop(products), products=products)
    arrays = build_indexes(made, large[1])
    assert arrays["ann_photo_fitted_to"].tolist() == [products * 6]
    assert not np.array_equal(arrays["ann_photo_basis"], large[1].extra["ann_photo_basis"])


@pytest.mark.usefixtures("few_exact_views")
def test_nothing_is_taken_over_from_another_model(large):
    made = replace(contents(shop(250), products=250), fingerprint="other@1")
    assert build_indexes(made, large[1])["ann_photo_fitted_to"].tolist() == [1500]


# ---- damage


DAMAGE = {
    "ann_photo_codes": lambda codes: codes[:-1],
    "ann_photo_basis": lambda basis: basis[:, :-1],
    "ann_photo_centroids": lambda centroids: centroids.astype(np.float64),
    "ann_photo_fitted_to": None,
    "ann_print_codes": lambda codes: codes[:, :-1],
    "ann_print_lists": lambda lists: lists + 1000,
    "ann_print_centres": None,
    "ann_print_bounds": lambda bounds: bounds[:1],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_arrays_that_do_not_fit_are_refused(large, few_exact_views, name):
    snapshot, damage = large[1], DAMAGE[name]
    extra = {key: array for key, array in snapshot.extra.items() if key != name}
    if damage is not None:
        extra[name] = damage(snapshot.extra[name])
    index = PhotoIndex if name.startswith("ann_photo") else PrintIndex
    with pytest.raises(SnapshotError, match=r"\.snapshot: .*ann_"):
        index.open(replace(snapshot, extra=extra))


def test_products_without_photos_are_never_found(tmp_path):
    made = replace(
        contents([(1, 1)], products=1), products=tuple(CatalogProduct(sku=s, name=s, url="u") for s in "abc")
    )
    _, views = PhotoIndex.open(stored(tmp_path, made)).search(
        np.ones((1, DIMENSIONS), np.float32), count=3, allowed=np.array([True, True, False]), effort="fine"
    )
    assert (views[0, 0] >= 0, views[0, 1:].tolist()) == (True, [-1, -1])
