"""The stock cache: what it confirms, and for how long, with the database up and down.

Each kind of cache on each kind of database; the outages are played by stand-ins that fail when told to.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from livecart.catalog.records import hosts, products
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.memory_entries import MemoryEntries
from livecart.catalog.stock.redis_entries import RedisEntries
from livecart.errors import StoreUnavailable
from tests.catalog.catalog_stores import patch
from tests.catalog.stock_caches import MAX_AGE_S, REDIS, Switch, change, opened_cache, redis_server, stocked


@pytest.fixture(params=["memory", *REDIS])
def entries(request):
    if request.param == "memory":
        yield MemoryEntries()
        return
    with redis_server(request.param) as (client, prefix):
        yield RedisEntries(client, prefix=prefix, keep_s=MAX_AGE_S)


@pytest.fixture
def shop(store):
    return stocked(store)


@pytest.fixture
def database(shop):
    return Switch(shop, StoreUnavailable("gone"))


@pytest.fixture
def cache(database, entries, clock):
    with opened_cache(database, entries, clock) as opened:
        yield opened


def test_confirms_link_price_and_stock(cache, clock):
    confirmed = cache.confirm("1001")
    assert (confirmed.sku, confirmed.name) == ("1001", "好欢螺螺蛳粉 1001")
    assert confirmed.url == "https://shop.example.com/item/1001"
    assert (str(confirmed.price), confirmed.currency, confirmed.stock, confirmed.version) == ("12.90", "CNY", 3, 1)
    assert confirmed.confirmed_at_s == clock()


def test_asks_the_database_once_while_it_is_fresh(cache, database, clock):
    first = cache.confirm("1001")
    calls = database.calls
    clock.pass_s(MAX_AGE_S)
    assert cache.confirm("1001") == first
    assert (database.calls, cache.stats.hits, cache.stats.misses) == (calls, 1, 1)
    clock.pass_s(0.1)
    assert cache.confirm("1001").confirmed_at_s == clock()
    assert cache.stats.misses == 2


@pytest.mark.parametrize("values", [{"stock": 0}, {"on_sale": False}])
def test_what_cannot_be_bought_is_not_confirmed_from_the_edit_on(cache, shop, values):
    assert cache.confirm("1001")
    change(shop, **values)
    assert cache.confirm("1001") is None
    assert cache.stats.not_sellable == 1
    change(shop, stock=1, on_sale=True)
    assert cache.confirm("1001").stock == 1


def test_a_new_price_is_on_the_next_card(cache, shop):
    assert str(cache.confirm("1001").price) == "12.90"
    change(shop, price=Decimal("9.90"))
    assert str(cache.confirm("1001").price) == "9.90"


def test_what_is_not_in_the_catalog_is_not_confirmed_and_not_asked_for_again(cache, database, shop):
    assert cache.confirm("7") is None
    calls = database.calls
    assert cache.confirm("7") is None
    assert database.calls == calls
    with shop.write("alice") as session:
        products.create(session, patch("7"))
    assert cache.confirm("7").sku == "7"
    with shop.write("alice") as session:
        products.remove(session, "7", expected_version=None)
    assert cache.confirm("7") is None


def test_a_host_that_is_forbidden_takes_its_cards_along(cache, shop):
    assert cache.confirm("1001")
    with shop.write("alice") as session:
        hosts.forbid(session, "shop.example.com")
    assert cache.confirm("1001") is None
    with shop.write("alice") as session:
        hosts.allow(session, "*.example.com")
    assert cache.confirm("1001")


def test_stock_that_is_not_counted_is_no_obstacle(cache, shop):
    change(shop, stock=None)
    assert cache.confirm("1001").stock is None


def test_database_down_the_cache_answers_within_its_age_then_nobody(cache, database, clock):
    assert cache.confirm("1001")
    database.up = False
    clock.pass_s(MAX_AGE_S)
    assert cache.confirm("1001")
    assert cache.confirm("never seen") is None
    clock.pass_s(0.1)
    assert cache.confirm("1001") is None
    assert cache.stats.too_old >= 1
    assert cache.stats.database_failures >= 1
    database.up = True
    clock.pass_s(1)
    assert cache.confirm("1001").confirmed_at_s == clock()


def test_a_database_that_is_down_is_left_alone_for_a_moment(cache, database, clock):
    database.up = False
    for _ in range(50):
        assert cache.confirm("1001") is None
    assert database.calls == 1


def test_an_entry_from_the_future_is_not_believed(cache, database, clock):
    assert cache.confirm("1001")
    clock.pass_s(-60)
    database.up = False
    assert cache.confirm("1001") is None


def test_of_many_who_ask_at_once_one_reads(cache, database, shop):
    reading, go_on = threading.Event(), threading.Event()
    real = shop.read
    reads = []

    def slow_read(**options):
        reads.append(1)
        reading.set()
        go_on.wait(10)
        return real(**options)

    database._real = type("Slow", (), {"read": staticmethod(slow_read)})()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(cache.lookup, "1001") for _ in range(20)]
        assert reading.wait(10)
        deadline = time.monotonic() + 10
        while cache.stats.shared < 19 and time.monotonic() < deadline:
            time.sleep(0.005)
        go_on.set()
        assert [answer.result().stock for answer in asked] == [3] * 20
    assert (len(reads), cache.stats.shared) == (1, 19)


def test_who_read_before_an_edit_and_puts_after_it_puts_nothing(cache, entries, shop):
    # The reader has the old row in hand when the edit comes.
    before = entries.generation("1001")
    entry = cache.lookup("1001")
    change(shop, stock=0)
    entries.put(entry, before)
    assert cache.confirm("1001") is None


def test_memory_keeps_the_most_recently_used(shop, clock):
    cache = StockCache(shop, MemoryEntries(most_entries=2), max_age_s=MAX_AGE_S, now_s=clock)
    for sku in ("a", "b", "a", "c", "a", "b"):
        cache.lookup(sku)
    assert (cache.stats.hits, cache.stats.misses) == (2, 4)
    cache.close()
