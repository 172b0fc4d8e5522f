"""The availability cache: when a card may be shown, and for how long, with the database up and down.

Each kind of cache on each kind of database; the outages are played by stand-ins that fail when told to.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.entries import MemoryEntries
from livecart.shop.availability.redis_entries import RedisEntries
from livecart.shop.repositories import bulk, hosts, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from tests.shop.availability_caches import MAX_AGE_S, REDIS, change, redis_server, shown
from tests.shop.catalog_stores import patch
from tests.shop.photo_files import photo


@pytest.fixture(params=["memory", *REDIS])
def entries(request, clock):
    if request.param == "memory":
        yield MemoryEntries(keep_s=MAX_AGE_S, monotonic_s=clock)
        return
    with redis_server(request.param) as (client, prefix):
        yield RedisEntries(client, prefix=prefix, keep_s=MAX_AGE_S)


@pytest.fixture
def shop(stocked_store):
    return stocked_store


def test_confirms_link_price_and_stock(cache, clock):
    confirmed = shown(cache, "1001")
    assert (confirmed.sku, confirmed.name) == ("1001", "好欢螺螺蛳粉 1001")
    assert confirmed.url == "https://shop.example.com/item/1001"
    assert (str(confirmed.price), confirmed.currency, confirmed.stock, confirmed.version) == ("12.90", "CNY", 3, 1)
    assert confirmed.read_at_s == clock()


def test_asks_the_database_once_while_it_is_fresh(cache, database, clock):
    first = shown(cache, "1001")
    calls = database.calls
    clock.pass_s(MAX_AGE_S)
    assert shown(cache, "1001") == first
    assert (database.calls, cache.stats.hits, cache.stats.misses) == (calls, 1, 1)
    clock.pass_s(0.1)
    assert shown(cache, "1001").read_at_s == clock()
    assert cache.stats.misses == 2


@pytest.mark.parametrize("values", [{"stock": 0}, {"on_sale": False}])
def test_what_cannot_be_bought_is_not_confirmed_from_the_edit_on(cache, shop, values):
    assert shown(cache, "1001")
    change(shop, **values)
    assert shown(cache, "1001") is None
    assert cache.stats.not_sellable == 1
    change(shop, stock=1, on_sale=True)
    assert shown(cache, "1001").stock == 1


def test_a_new_price_is_on_the_next_card(cache, shop):
    assert str(shown(cache, "1001").price) == "12.90"
    change(shop, price=Decimal("9.90"))
    assert str(shown(cache, "1001").price) == "9.90"


def test_what_is_not_in_the_catalog_is_not_confirmed_and_not_asked_for_again(cache, database, shop):
    assert shown(cache, "7") is None
    calls = database.calls
    assert shown(cache, "7") is None
    assert database.calls == calls
    with shop.write("alice") as session:
        products.create(session, patch("7"))
    assert shown(cache, "7").sku == "7"
    with shop.write("alice") as session:
        products.remove(session, "7", expected_version=None)
    assert shown(cache, "7") is None


def test_a_host_that_is_forbidden_takes_its_cards_along(cache, shop):
    assert shown(cache, "1001")
    with shop.write("alice") as session:
        hosts.forbid(session, "shop.example.com")
    assert shown(cache, "1001") is None
    with shop.write("alice") as session:
        hosts.allow(session, "*.example.com")
    assert shown(cache, "1001")


def test_stock_that_is_not_counted_is_no_obstacle(cache, shop):
    change(shop, stock=None)
    assert shown(cache, "1001").stock is None


def test_database_down_the_cache_answers_within_its_age_then_nobody(cache, database, clock):
    assert shown(cache, "1001")
    database.up = False
    clock.pass_s(MAX_AGE_S)
    assert shown(cache, "1001")
    assert shown(cache, "never seen") is None
    clock.pass_s(0.1)
    assert shown(cache, "1001") is None
    assert cache.stats.too_old >= 1
    assert cache.stats.database_failures >= 1
    database.up = True
    clock.pass_s(1)
    assert shown(cache, "1001").read_at_s == clock()


def test_a_database_that_is_down_is_left_alone_for_a_moment(cache, database, clock):
    database.up = False
    for _ in range(50):
        assert shown(cache, "1001") is None
    assert database.calls == 1


def test_an_entry_from_the_future_is_not_believed(cache, database, clock):
    assert shown(cache, "1001")
    clock.pass_s(-60)
    database.up = False
    assert shown(cache, "1001") is None


def test_of_many_who_ask_at_once_one_reads(cache, entries, database, shop, monkeypatch):
    reading, go_on = threading.Event(), threading.Event()
    real_read, real_get = shop.read, entries.get
    reads, gets = [], []

    def slow_read(**options):
        reads.append(1)
        reading.set()
        go_on.wait(10)
        return real_read(**options)

    def counted_get(skus):
        gets.append(1)
        return real_get(skus)

    monkeypatch.setattr(entries, "get", counted_get)
    database._real = type("Slow", (), {"read": staticmethod(slow_read)})()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(shown, cache, "1001") for _ in range(20)]
        assert reading.wait(10)
        deadline = time.monotonic() + 10
        # The reader has looked twice, everybody else once.
        while len(gets) < 21 and time.monotonic() < deadline:
            time.sleep(0.005)
        go_on.set()
        assert [answer.result().stock for answer in asked] == [3] * 20
    assert (len(reads), cache.stats.misses) == (1, 1)


def test_many_products_are_one_reading_each_with_its_first_photo(cache, database, shop, tmp_path):
    skus = [f"p{number}" for number in range(1200)]
    with shop.write("alice") as session:
        bulk.upsert(session, [patch(sku, stock=number % 2) for number, sku in enumerate(skus)])
        first = photos.add(session, BlobFolder(tmp_path), "p1", photo(1))
        photos.add(session, BlobFolder(tmp_path), "p1", photo(2))
    calls = database.calls
    answers = cache.check(["1001", *skus, "nothing", "p1"])
    assert (database.calls, len(answers)) == (calls + 1, 1202)
    assert {answers[sku].refusal for sku in skus[::2]} == {"sold_out"}
    assert {answers[sku].refusal for sku in skus[1::2]} == {None}
    assert answers["nothing"].refusal == "unknown"
    assert (answers["p1"].photo, answers["1001"].photo) == (f"{first.photos[0].digest}.jpg", None)
    cache.check(skus)
    assert database.calls == calls + 1


def test_who_read_before_an_edit_and_puts_after_it_puts_nothing(cache, entries, shop):
    # The reader has the old row in hand when the edit comes.
    before = entries.get(["1001"])
    entry = shown(cache, "1001")
    change(shop, stock=0)
    entries.put([entry], before.edits)
    assert shown(cache, "1001") is None


def test_memory_keeps_the_most_recently_used(shop, clock):
    memory = MemoryEntries(keep_s=MAX_AGE_S, monotonic_s=clock, most_entries=2)
    cache = AvailabilityCache(shop, memory, max_age_s=MAX_AGE_S, now_s=clock)
    for sku in ("a", "b", "a", "c", "a", "b"):
        cache.check([sku])
    assert (cache.stats.hits, cache.stats.misses) == (2, 4)
    cache.close()
