"""Why a card may not be shown, and reading ahead of the age so that a standing card is never without an answer."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from livecart.catalog.records import hosts, products
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.entry import Confirmed
from livecart.catalog.stock.memory_entries import MemoryEntries
from livecart.catalog.values import ProductPatch
from livecart.errors import StoreUnavailable
from tests.catalog.catalog_stores import patch

MAX_AGE_S, AHEAD_S = 4.0, 2.0


@pytest.fixture
def shop(sqlite_store):
    with sqlite_store.write("setup") as session:
        products.create(session, patch("1", stock=1))
    return sqlite_store


@pytest.fixture
def other(sqlite_store):
    """Edits of another process: this one's cache hears nothing of them."""

    def change(**values):
        listeners, sqlite_store._listeners[:] = list(sqlite_store._listeners), []
        with sqlite_store.write("other") as session:
            products.update(session, ProductPatch(sku="1", **values), expected_version=None)
        sqlite_store._listeners[:] = listeners

    return change


@pytest.fixture
def cache(shop, clock):
    made = StockCache(shop, MemoryEntries(), max_age_s=MAX_AGE_S, now_s=clock, monotonic_s=clock)
    yield made
    made.close()


@pytest.fixture
def down(shop, monkeypatch):
    @contextmanager
    def away(**_):
        raise StoreUnavailable("away")
        yield

    return lambda: monkeypatch.setattr(shop, "read", away)


@pytest.mark.parametrize(("values", "reason"), [({"stock": 0}, "sold_out"), ({"on_sale": False}, "off_sale")])
def test_the_reason_is_what_the_product_lacks(cache, shop, values, reason):
    assert isinstance(cache.check("1"), Confirmed)
    with shop.write("shop") as session:
        products.update(session, ProductPatch(sku="1", **values), expected_version=None)
    assert cache.check("1") == reason
    assert cache.confirm("1") is None


def test_a_product_that_is_none_a_link_that_is_not_allowed_and_nothing_known(cache, shop, clock, down):
    assert cache.check("2") == "unknown"
    with shop.write("shop") as session:
        hosts.forbid(session, "shop.example.com")
    assert cache.check("1") == "link"
    down()
    clock.pass_s(MAX_AGE_S + 0.1)
    assert cache.check("1") == "not_known"


def test_who_asks_ahead_sees_another_processs_edit_before_the_age_is_over(cache, clock, other):
    cache.check("1", ahead_s=AHEAD_S)
    other(stock=0)
    clock.pass_s(AHEAD_S - 0.1)
    assert isinstance(cache.check("1", ahead_s=AHEAD_S), Confirmed)
    clock.pass_s(0.2)
    assert isinstance(cache.check("1"), Confirmed)
    assert cache.check("1", ahead_s=AHEAD_S) == "sold_out"
    # What was read is everybody's.
    assert cache.check("1") == "sold_out"


def test_ahead_of_a_database_that_is_away_what_is_known_holds_to_its_age(cache, clock, down):
    first = cache.check("1", ahead_s=AHEAD_S)
    down()
    clock.pass_s(MAX_AGE_S - 0.1)
    assert cache.check("1", ahead_s=AHEAD_S) == first
    assert cache.stats.database_failures >= 1
    clock.pass_s(0.2)
    assert cache.check("1", ahead_s=AHEAD_S) == "not_known"


def test_asked_ahead_the_confirmation_is_as_young_as_the_reading(cache, clock):
    cache.check("1")
    clock.pass_s(AHEAD_S + 0.1)
    assert cache.check("1", ahead_s=AHEAD_S).confirmed_at_s == clock.at_s
