"""Why a card may not be shown, and reading ahead of the age so that a standing card is never without an answer."""

from contextlib import contextmanager

import pytest

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.entries import MemoryEntries
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import hosts, products
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import patch

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
    made = AvailabilityCache(
        shop, MemoryEntries(keep_s=MAX_AGE_S, monotonic_s=clock), max_age_s=MAX_AGE_S, now_s=clock, monotonic_s=clock
    )
    yield made
    made.close()


def refusal(cache, sku, **how):
    return cache.check([sku], **how)[sku].refusal


@pytest.fixture
def down(shop, monkeypatch):
    @contextmanager
    def away(**_):
        raise StoreUnavailable("store_silent", cause="gone")
        yield

    return lambda: monkeypatch.setattr(shop, "read", away)


@pytest.mark.parametrize(("values", "reason"), [({"stock": 0}, "sold_out"), ({"on_sale": False}, "off_sale")])
def test_the_reason_is_what_the_product_lacks(cache, shop, values, reason):
    assert refusal(cache, "1") is None
    with shop.write("shop") as session:
        products.update(session, ProductPatch(sku="1", **values), expected_version=None)
    assert refusal(cache, "1") == reason


def test_a_product_that_is_none_a_link_that_is_not_allowed_and_nothing_known(cache, shop, clock, down):
    assert refusal(cache, "2") == "unknown"
    with shop.write("shop") as session:
        hosts.forbid(session, "shop.example.com")
    assert refusal(cache, "1") == "link"
    down()
    clock.pass_s(MAX_AGE_S + 0.1)
    assert refusal(cache, "1") == "not_known"


def test_who_asks_ahead_sees_another_processs_edit_before_the_age_is_over(cache, clock, other):
    cache.check(["1"], refresh_after_s=AHEAD_S)["1"]
    other(stock=0)
    clock.pass_s(AHEAD_S - 0.1)
    assert refusal(cache, "1", refresh_after_s=AHEAD_S) is None
    clock.pass_s(0.2)
    assert refusal(cache, "1") is None
    assert refusal(cache, "1", refresh_after_s=AHEAD_S) == "sold_out"
    # What was read is everybody's.
    assert refusal(cache, "1") == "sold_out"


def test_ahead_of_a_database_that_is_away_what_is_known_holds_to_its_age(cache, clock, down):
    first = cache.check(["1"], refresh_after_s=AHEAD_S)["1"]
    down()
    clock.pass_s(MAX_AGE_S - 0.1)
    assert cache.check(["1"], refresh_after_s=AHEAD_S)["1"] == first
    assert cache.stats.database_failures >= 1
    clock.pass_s(0.2)
    assert refusal(cache, "1", refresh_after_s=AHEAD_S) == "not_known"


def test_asked_ahead_the_confirmation_is_as_young_as_the_reading(cache, clock):
    cache.check(["1"])["1"]
    clock.pass_s(AHEAD_S + 0.1)
    assert cache.check(["1"], refresh_after_s=AHEAD_S)["1"].read_at_s == clock.at_s
