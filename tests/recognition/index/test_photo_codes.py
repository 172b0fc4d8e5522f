"""A gallery's codes and tables: taken over from the snapshot before where they fit, made anew or refused where not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.catalog.build import build_indexes
from recognition.errors import SnapshotError
from recognition.index import codes
from recognition.index.codes import Rows, places_before
from recognition.index.photo_index import PhotoIndex
from recognition.keypoints.extract import unpack
from recognition.keypoints.votes import KeypointIndex
from tests.recognition.made_galleries import (
    contents,
    plainly,
    queries_like,
    shop,
    stored,
)


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
    plain = codes.encode_rows

    def spy(fetch, encode, count, *, places, known):
        encoded.append((int((places < 0).sum()), count))
        return plain(fetch, encode, count, places=places, known=known)

    for module in ("index.codes", "keypoints.votes"):
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
        assert KeypointIndex.open(snapshot).votes(unpack(made.local_descriptors[photo * 4 :][:4])).argmax() == photo


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
    index = PhotoIndex if name.startswith("ann_photo") else KeypointIndex
    with pytest.raises(SnapshotError, match=r"\.snapshot: .*ann_"):
        index.open(replace(snapshot, extra=extra))
