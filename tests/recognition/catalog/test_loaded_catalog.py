"""A snapshot opened for matching: text indexes, labels, rooms, stock, and catalogs of nothing."""

import dataclasses

import numpy as np
import pytest

from recognition.catalog.build import empty_snapshot, index_arrays
from recognition.catalog.loaded import open_catalog
from recognition.classify.labels import LabelSet
from recognition.errors import SnapshotError
from recognition.snapshot.write import write_snapshot
from tests.snapshot_files import FINGERPRINT, catalog, contents, product

LABELS = LabelSet(("红色", "蓝色", "红色"))
PRODUCTS = [
    product("photo", labels=("红色",)),
    product("label", labels=("红色", "蓝色", "unknown"), rooms=("9",), threshold=0.6, price="1.50", currency="CNY"),
    product("name", stock=0),
]
PHOTOS = [(0, b"a"), (0, b"b")]


@pytest.fixture
def loaded(tmp_path):
    return catalog(tmp_path / "s", contents(PRODUCTS, PHOTOS), labels=LABELS.texts)


def load(path, **changes):
    given = {"fingerprint": FINGERPRINT, "labels": LABELS, "allowed_hosts": ["shop.example.com"], **changes}
    return open_catalog(path, **given)


def test_which_products_have_photos_and_which_are_sold_out(loaded):
    assert loaded.has_photos.tolist() == [True, False, False]
    assert loaded.with_photos
    assert loaded.sold_out == {"name"}


def test_every_class_of_a_label_leads_to_its_products(loaded):
    pairs = zip(loaded.label_classes.tolist(), loaded.label_products.tolist(), strict=True)
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)]


def test_a_label_alone_shows_only_products_without_photos(loaded):
    [known] = loaded.known_by_label()
    assert (known.sku, known.labels, known.threshold) == ("label", ("红色", "蓝色", "unknown"), pytest.approx(0.6))
    assert (known.price, known.currency, known.rooms) == ("1.50", "CNY", ("9",))


def test_a_catalog_of_no_products_opens(tmp_path):
    write_snapshot(tmp_path / "s", empty_snapshot(FINGERPRINT, dimensions=8))
    found = load(tmp_path / "s")
    assert found.snapshot.products == 0
    assert not found.with_photos
    assert found.known_by_label() == []
    assert found.keypoint_index is None


def test_a_snapshot_without_its_text_index_is_refused(tmp_path):
    write_snapshot(tmp_path / "s", contents(PRODUCTS, PHOTOS))
    with pytest.raises(SnapshotError, match="text index is missing"):
        load(tmp_path / "s")


@pytest.mark.parametrize("prefix", ["text_name_", "text_print_"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("documents", lambda places: np.full_like(places, 10**9)),
        ("documents", lambda places: places - 1),
        ("documents", lambda places: places.astype(np.float32)),
        ("starts", lambda starts: np.concatenate([[0], starts[1:] + 10**7])),
        ("starts", lambda starts: starts[::-1].copy()),
        ("starts", lambda starts: starts[:-1]),
        ("keys", lambda keys: keys.astype(np.float32)),
        ("keys", lambda keys: keys[::-1].copy()),
        ("key_weight", lambda weights: weights[:-1]),
        ("counts", lambda counts: counts * np.float16(np.nan)),
        ("counts", lambda counts: counts[:-1]),
        ("mass", lambda mass: np.append(mass, mass)),
        ("mass", lambda mass: mass.reshape(1, -1)),
    ],
)
def test_a_text_index_that_points_outside_is_refused(tmp_path, prefix, name, change):
    given = contents(PRODUCTS, PHOTOS)
    given = dataclasses.replace(given, lines=[(("第一行", 0.9),)] * len(PHOTOS))
    arrays = index_arrays(given, None)
    changed = {**arrays, prefix + name: np.ascontiguousarray(change(arrays[prefix + name]))}
    write_snapshot(tmp_path / "s", dataclasses.replace(given, extra=changed))
    with pytest.raises(SnapshotError, match=prefix + name):
        load(tmp_path / "s")


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"fingerprint": "other"}, "other"), ({"allowed_hosts": ["else.example.com"]}, "url|host|link")],
)
def test_a_snapshot_of_another_model_or_with_links_elsewhere_is_refused(loaded, tmp_path, changes, told):
    with pytest.raises(SnapshotError, match=told):
        load(tmp_path / "s", **changes)
