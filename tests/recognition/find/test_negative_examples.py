"""Negatives: shadows behind the products, weighed against their own product alone, no cost where none are."""

import math

import pytest

from recognition.catalog.build import build_snapshot
from recognition.catalog.loaded import Negatives, negative_rows_of
from recognition.find.fusion import EvidenceRows, confidences, discounted, features
from recognition.snapshot.catalog_folder import Catalog
from recognition.snapshot.read import open_snapshot
from recognition.snapshot.write import write_snapshot
from tests.recognition.drawn_packages import WEIGHTS
from tests.recognition.find.test_fusion import rows as evidence_rows
from tests.snapshot_files import FakeEmbedder, catalog, product

HOSTS = ["shop.example.com"]


def rows(*candidates: dict[str, float]) -> EvidenceRows:
    return evidence_rows(len(candidates), **{name: [each[name] for each in candidates] for name in candidates[0]})


def seen(points: float, colours: float, photo: float = 2.0) -> dict[str, float]:
    """A candidate with features ``points`` and ``colours``; ``photo`` is ten times the square of its inner product."""
    coloured = 2.0 * min(points, 1.5)
    return {
        "points": 4.0 * math.exp(points),
        "colours": colours / coloured if coloured else 0.0,
        "photo": math.sqrt(photo / 10.0),
        "salience": photo / 10.0,
    }


@pytest.mark.parametrize(
    ("product_seen", "negative_seen", "believed"),
    [
        pytest.param(seen(2.8, 2.0, 1.0), seen(2.4, 0.8, 3.8), True, id="the product itself, in a stream"),
        pytest.param(seen(2.8, 0.8, 0.6), seen(2.9, 2.0, 2.0), False, id="other colours"),
        pytest.param(seen(2.4, 2.2, 0.8), seen(3.0, 2.2, 6.0), False, id="the same show again"),
        pytest.param(seen(0.0, 0.0, 4.0), seen(2.5, 1.5, 5.0), False, id="only the negative's print"),
        pytest.param(seen(0.0, 0.0, 5.0), seen(0.0, 0.0, 7.0), True, id="no print on either"),
    ],
)
def test_print_and_colours_say_which_of_both_is_shown(product_seen, negative_seen, believed):
    given = rows(product_seen, negative_seen)
    before = confidences(features(given)[:1], WEIGHTS)[0]
    found = discounted([0, 7], given, Negatives({0: 7}, {0: frozenset()}), WEIGHTS)
    assert list(found) == [0]
    assert found[0] > 0.97 * before if believed else found[0] < 0.2 * before


def test_a_negative_speaks_against_its_own_product_alone():
    given = rows(seen(2.0, 1.0), seen(2.5, 1.8), seen(3.0, 2.8))
    plain = confidences(features(given)[:2], WEIGHTS)
    found = discounted([0, 1, 2], given, Negatives({0: 2}, {0: frozenset()}), WEIGHTS)
    assert found[1] == plain[1]
    assert found[0] < 0.1 * plain[0]


def test_what_a_product_loses_goes_to_the_twin_whose_photo_its_negative_is():
    """The first was cut out of a stream, so that all that is streamed looks like it; the second is shown."""
    given = rows(seen(3.0, 0.6, 6.0), seen(3.0, 2.1, 1.5), seen(3.0, 2.1, 1.5))
    plain = confidences(features(given)[:2], WEIGHTS)
    found = discounted([0, 1, 2], given, Negatives({0: 2}, {0: frozenset({1})}), WEIGHTS)
    assert plain[1] < 0.3
    assert found[1] > 0.95
    assert found[0] < 0.1


def test_without_negatives_confidences_are_what_they_were_to_the_last_bit():
    given = rows(seen(2.0, 1.0), seen(2.5, 1.8), seen(0.0, 0.0))
    plain = confidences(features(given), WEIGHTS)
    # A shadow far from this region has no row here.
    for negatives in (Negatives({}, {}), Negatives({1: 9}, {1: frozenset({0})})):
        assert list(discounted([0, 1, 2], given, negatives, WEIGHTS).values()) == plain.tolist()


@pytest.fixture
def shop(tmp_path):
    for name in ("1", "2", "not-1", "also-not-1"):
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    return tmp_path


def built(folder, products, previous=None):
    contents, report = build_snapshot(Catalog(tuple(products)), FakeEmbedder(), folder=folder, previous=previous)
    write_snapshot(folder / "a.snapshot", contents)
    return open_snapshot(folder / "a.snapshot", fingerprint=None), report


NEGATIVES = ("not-1.jpg", "also-not-1.jpg")


def test_a_shadow_is_a_sold_out_product_behind_all_others_in_the_same_rooms(shop):
    products = [product("1", photos=("1.jpg",), negatives=NEGATIVES, rooms=("a",)), product("2", photos=("2.jpg",))]
    snapshot, report = built(shop, products)
    assert (report.products, report.photos) == (2, 4)
    assert negative_rows_of(snapshot.product, snapshot.products) == {0: 2}
    negative_row = snapshot.product(2)
    assert (negative_row.negative_of, negative_row.name, negative_row.words, negative_row.rooms) == (
        "1",
        "",
        (),
        ("a",),
    )
    assert snapshot.stock_state.tolist() == [1, 1, 0]
    assert snapshot.photo_product.tolist() == [0, 1, 2, 2]
    assert snapshot.room_mask("b").tolist() == [False, True, False]
    again, report = built(shop, products, previous=snapshot)
    assert (report.embedded, again.id) == (0, snapshot.id)


def test_negatives_that_cannot_be_read_are_reported_and_leave_no_empty_shadow(shop):
    (shop / "not-1.jpg").write_bytes(b"broken")
    products = [
        product("1", photos=("1.jpg",), negatives=("not-1.jpg",)),
        product("2", photos=("2.jpg",), negatives=("also-not-1.jpg",)),
    ]
    snapshot, report = built(shop, products)
    assert [(photo.sku, photo.path) for photo in report.bad] == [("1", "not-1.jpg")]
    assert negative_rows_of(snapshot.product, snapshot.products) == {1: 2}
    assert snapshot.photo_product.tolist() == [0, 1, 2]


def test_a_loaded_catalog_knows_shadows_and_counts_none_as_sold_out(shop):
    twin = product("2", photos=("2.jpg", "also-not-1.jpg"), stock=0)
    products = [product("1", photos=("1.jpg",), negatives=NEGATIVES), twin]
    contents, _ = build_snapshot(Catalog(tuple(products)), FakeEmbedder(), folder=shop)
    loaded = catalog(shop / "b.snapshot", contents)
    assert loaded.negatives == Negatives({0: 2}, {0: frozenset({1})})
    assert loaded.sold_out == {"2"}
    empty, _ = build_snapshot(Catalog(()), FakeEmbedder(), folder=shop)
    assert catalog(shop / "c.snapshot", empty).negatives == Negatives({}, {})
