"""product_links.json: what comes out is what went in, and what the archive reads."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.links_file import export_links, import_links, read_links
from livecart.shop.repositories import products
from livecart.shop.schemas.product import ProductPatch
from recognition.classify.product_links import load_links
from tests.conftest import ROOT
from tests.shop.catalog_stores import SHOP, add, allow_shop, empty_tables, link, patch

FILE = {
    "螺蛳粉": link("1"),
    "浓缩咖啡": {"url": link("2001"), "sku": "2001", "name": "意式咖啡豆 500g", "price": "59.00", "currency": "CNY"},
    "a": {"url": link("a")},
    "b": {"rooms": [], "url": link("b"), "labels": [], "threshold": 0.25},
    "c": {"url": link("c"), "labels": ["c", "d"], "rooms": ["room-2", "room-1"], "sku": None, "price": "0.10"},
    "d": {"url": link("d"), "sku": "d", "name": "d", "labels": ["d"], "threshold": 0.0},
}


def load(store, document):
    with store.write("alice") as session:
        return import_links(session, json.dumps(document, ensure_ascii=False))


def dump(store):
    with store.read(consistent=True) as session:
        return export_links(session)


def test_out_comes_what_went_in_and_in_its_order(store):
    assert load(store, FILE).created == 6
    text = dump(store)
    assert json.loads(text) == FILE
    assert [*json.loads(text)] == [*FILE]
    assert load(store, FILE).unchanged == 6
    for bad in ("javascript:alert(1)", {"url": link("1"), "price": "cheap"}):
        with pytest.raises(InvalidValue):
            load(store, {"good": link("g"), "bad": bad})
    assert json.loads(dump(store)) == FILE
    turned = dict(reversed(FILE.items()))
    load(store, turned)
    assert [*json.loads(dump(store))] == [*turned]


def test_the_repositorys_own_file_comes_back_byte_for_byte(store):
    text = (ROOT / "product_links.json").read_text(encoding="utf-8")
    with store.write("alice") as session:
        import_links(session, text)
    assert dump(store) == text


def test_what_staff_changed_and_added_comes_out(store, tmp_path):
    add(store, patch("a", stock=3, words=("w",), brand="b", on_sale=False))
    load(store, FILE)
    with store.read() as session:
        # What the file does not hold stays.
        kept = products.get(session, "a")
    assert (kept.stock, kept.words, kept.brand, kept.on_sale) == (3, ("w",), "b", False)
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="螺蛳粉", name="新名字"), expected_version=1)
        products.create(session, patch("7001", name="a"))
        products.create(session, patch("7002", name="唯一", labels=("x",)))
    document = json.loads(dump(store))
    assert document["螺蛳粉"] == {"url": link("1"), "name": "新名字"}
    assert document["a (7001)"] == {"sku": "7001", "labels": [], "url": link("7001"), "name": "a"}
    assert document["唯一"] == {"sku": "7002", "labels": ["x"], "url": link("7002")}
    path = tmp_path / "product_links.json"
    path.write_text(dump(store), encoding="utf-8")
    of_archive = {entry.sku: entry for entry in load_links(path, allowed_hosts=[SHOP])}
    with store.read() as session:
        for product in products.every(session):
            entry = of_archive.pop(product.sku)
            assert (entry.name, entry.url, entry.labels) == (product.name, product.url, product.labels)
            assert entry.rooms == product.rooms
            assert (entry.price, entry.threshold) == (product.price and str(product.price), product.threshold)
    assert of_archive == {}


keys = st.text("abcdef螺蛳粉 ", min_size=1, max_size=6).map(str.strip).filter(bool)
texts = st.text("xyz咖啡", min_size=1, max_size=4)
objects = st.fixed_dictionaries(
    {"url": st.just(link("1"))},
    optional={
        "name": texts | st.none(),
        "labels": st.lists(texts, max_size=3, unique=True) | st.none(),
        "threshold": st.floats(0, 1) | st.none(),
        "price": st.decimals(0, 10**6, places=2).map(str) | st.none(),
        "currency": st.sampled_from(["CNY", "USD", None]),
        "rooms": st.lists(texts, max_size=3, unique=True) | st.none(),
        "sku": st.none(),
    },
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(keys, st.just(link("1")) | objects, max_size=5))
def test_any_file_comes_back(sqlite_store, document):
    empty_tables(sqlite_store)
    allow_shop(sqlite_store)
    load(sqlite_store, document)
    assert json.loads(dump(sqlite_store)) == document


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "expected a JSON object"),
        ('{"a": ', "line 1"),
        ('{"a": "x", "a": "y"}', "stands twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1}', "expected a link"),
        ('{" ": "x"}', "key is empty"),
        ('{"a": {"url": "x", "colour": 1}}', "'colour' is not known"),
        ('{"a": {"url": "x", "price": 12.9}}', "price must be a text"),
        ('{"a": {"url": "x", "labels": "x"}}', "labels must be a list"),
        ('{"a": {}}', "has no url"),
        ('{"a": "x", "b": {"url": "x", "sku": "a"}}', "belongs to 'a'"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_links_file_is_refused_with_its_place(text, told):
    with pytest.raises(FeedError, match=told):
        read_links(text, "links.json")
