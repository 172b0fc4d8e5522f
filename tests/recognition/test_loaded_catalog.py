"""A snapshot opened for matching: text indexes, labels, rooms, stock, and catalogs of nothing."""

from __future__ import annotations

import msgspec
import pytest

from recognition.catalog import empty_snapshot, index_arrays, open_catalog
from recognition.errors import SnapshotError
from recognition.labels import LabelSet
from recognition.snapshot_write import write_snapshot
from recognition.text.documents import query_of
from recognition.text.lexicon import load_lexicon
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
    assert (known.price, known.currency, known.rooms) == ("1.50", "CNY", frozenset({"9"}))


def test_names_and_photos_each_have_a_text(loaded):
    assert (len(loaded.names.mass), len(loaded.prints.mass)) == (3, 2)


@pytest.mark.parametrize(("line", "best"), [("珍珍荔枝味汽水", 0), ("北冰洋 桔汁汽水", 1)])
def test_a_line_speaks_for_the_product_that_it_names(tmp_path, line, best):
    names = ("珍珍荔枝味汽水", "北冰洋桔汁汽水")
    products = [msgspec.structs.replace(product(name), name=name) for name in names]
    found = catalog(tmp_path / "s", contents(products, ()))
    scores, _ = found.names.score(query_of([(line, 0.99)], load_lexicon()))
    assert scores.argmax() == best
    assert scores[best] > 2 * scores[1 - best]


def test_a_catalog_of_no_products_opens(tmp_path):
    write_snapshot(tmp_path / "s", empty_snapshot(FINGERPRINT, dimensions=8))
    found = load(tmp_path / "s")
    assert found.snapshot.products == 0
    assert not found.with_photos
    assert found.known_by_label() == []
    assert found.print_index is None


def test_a_catalog_of_names_alone_opens(tmp_path):
    found = catalog(tmp_path / "s", contents([product("1"), product("2")], ()))
    assert not found.with_photos
    assert found.has_photos.tolist() == [False, False]


def test_a_snapshot_without_its_text_index_is_refused(tmp_path):
    write_snapshot(tmp_path / "s", contents(PRODUCTS, PHOTOS))
    with pytest.raises(SnapshotError, match="text index is missing"):
        load(tmp_path / "s")


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"fingerprint": "other"}, "other"), ({"allowed_hosts": ["else.example.com"]}, "url|host|link")],
)
def test_a_snapshot_of_another_model_or_with_links_elsewhere_is_refused(loaded, tmp_path, changes, told):
    with pytest.raises(SnapshotError, match=told):
        load(tmp_path / "s", **changes)


def test_the_previous_snapshot_may_be_of_other_products(loaded):
    later = contents(PRODUCTS[:2], PHOTOS[:1])
    assert set(index_arrays(later, loaded.snapshot)) <= set(index_arrays(later, None))
