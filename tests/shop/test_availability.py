"""The availability cache: when a card may be shown, and for how long, with the database up and down.

Each kind of cache; the outages are played by stand-ins that fail when told to.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from livecart.core.errors import SettingsError
from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.entries import MemoryEntries
from livecart.shop.availability.open import open_cache
from livecart.shop.availability.redis_entries import RedisEntries
from livecart.shop.repositories import bulk, hosts, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from tests.shop.availability_caches import MAX_AGE_S, REDIS, redis_server, refusal, shown
from tests.shop.catalog_stores import REDIS_URL, add, change, patch
from tests.shop.photo_files import photo

AHEAD_S = 2.0


@pytest.fixture(params=["memory", *REDIS])
def entries(request, clock):
    if request.param == "memory":
        yield MemoryEntries(keep_s=MAX_AGE_S, monotonic_s=clock)
        return
    with redis_server(request.param) as (client, prefix):
        yield RedisEntries(client, prefix=prefix, keep_s=MAX_AGE_S)


def test_confirms_link_price_and_stock_and_asks_the_database_once_while_it_is_fresh(cache, database, clock):
    first = shown(cache)
    assert (first.sku, first.name, first.url) == ("1001", "好欢螺螺蛳粉 1001", "https://shop.example.com/item/1001")
    assert (str(first.price), first.currency, first.stock, first.version) == ("12.90", "CNY", 3, 1)
    assert first.read_at_s == clock()
    calls = database.calls
    clock.pass_s(MAX_AGE_S)
    assert shown(cache) == first
    assert (database.calls, cache.stats.hits, cache.stats.misses) == (calls, 1, 1)
    clock.pass_s(0.1)
    assert shown(cache).read_at_s == clock()
    assert cache.stats.misses == 2


def test_an_edit_decides_what_the_next_card_says_and_whether_there_is_one(cache, shop):
    assert shown(cache)
    for values, reason in (({"stock": 0}, "sold_out"), ({"stock": 1, "on_sale": False}, "off_sale")):
        change(shop, "1001", **values)
        assert refusal(cache) == reason
    assert cache.stats.not_sellable == 2
    # Stock that is not counted is no obstacle.
    change(shop, "1001", stock=None, on_sale=True, price=Decimal("9.90"))
    assert (shown(cache).stock, str(shown(cache).price)) == (None, "9.90")


def test_what_is_not_in_the_catalog_is_not_confirmed_and_not_asked_for_again(cache, database, shop):
    assert refusal(cache, "7") == "unknown"
    calls = database.calls
    assert refusal(cache, "7") == "unknown"
    assert database.calls == calls
    add(shop, patch("7"))
    assert shown(cache, "7").sku == "7"
    with shop.write("alice") as session:
        products.remove(session, "7", expected_version=None)
    assert refusal(cache, "7") == "unknown"


def test_a_host_that_is_forbidden_takes_its_cards_along(cache, shop):
    assert shown(cache)
    with shop.write("alice") as session:
        hosts.forbid(session, "shop.example.com")
    assert refusal(cache) == "link"
    with shop.write("alice") as session:
        hosts.allow(session, "*.example.com")
    assert shown(cache)


def test_database_down_the_cache_answers_within_its_age_then_nobody(cache, database, clock):
    assert shown(cache)
    database.up = False
    clock.pass_s(MAX_AGE_S)
    assert shown(cache)
    assert refusal(cache, "never seen") == "not_known"
    clock.pass_s(0.1)
    assert refusal(cache) == "not_known"
    assert cache.stats.too_old >= 1
    assert cache.stats.database_failures >= 1
    database.up = True
    clock.pass_s(1)
    assert shown(cache).read_at_s == clock()


def test_a_database_that_is_down_is_left_alone_for_a_moment(cache, database):
    database.up = False
    for _ in range(50):
        assert shown(cache) is None
    assert database.calls == 1


def test_an_entry_from_the_future_is_not_believed(cache, database, clock):
    assert shown(cache)
    clock.pass_s(-60)
    database.up = False
    assert shown(cache) is None


def test_of_many_who_ask_at_once_one_reads(cache, entries, database, shop, monkeypatch):
    reading, go_on = threading.Event(), threading.Event()
    real_read, real_get = shop.read, entries.get
    reads, gets = [], []

    def slow_read(**options):
        reads.append(1)
        reading.set()
        go_on.wait(10)
        return real_read(**options)

    monkeypatch.setattr(entries, "get", lambda skus: (gets.append(1), real_get(skus))[1])
    database._real = type("Slow", (), {"read": staticmethod(slow_read)})()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(shown, cache) for _ in range(20)]
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
    entry = shown(cache)
    change(shop, "1001", stock=0)
    entries.put([entry], before.edits)
    assert shown(cache) is None


def test_memory_keeps_the_most_recently_used(shop, clock):
    memory = MemoryEntries(keep_s=MAX_AGE_S, monotonic_s=clock, most_entries=2)
    cache = AvailabilityCache(shop, memory, max_age_s=MAX_AGE_S, now_s=clock)
    for sku in ("a", "b", "a", "c", "a", "b"):
        cache.check([sku])
    assert (cache.stats.hits, cache.stats.misses) == (2, 4)
    cache.close()


def test_who_asks_ahead_sees_another_processs_edit_before_the_age_is_over(cache, shop, clock):
    assert shown(cache, refresh_after_s=AHEAD_S)
    listeners, shop._listeners[:] = list(shop._listeners), []
    change(shop, "1001", stock=0)
    shop._listeners[:] = listeners
    clock.pass_s(AHEAD_S - 0.1)
    assert shown(cache, refresh_after_s=AHEAD_S)
    clock.pass_s(0.2)
    assert shown(cache)
    assert refusal(cache, refresh_after_s=AHEAD_S) == "sold_out"
    # What was read is everybody's.
    assert refusal(cache) == "sold_out"


def test_ahead_of_a_database_that_is_away_what_is_known_holds_to_its_age(cache, database, clock):
    shown(cache)
    clock.pass_s(AHEAD_S + 0.1)
    first = shown(cache, refresh_after_s=AHEAD_S)
    assert first.read_at_s == clock()
    database.up = False
    clock.pass_s(MAX_AGE_S - 0.1)
    assert shown(cache, refresh_after_s=AHEAD_S) == first
    assert cache.stats.database_failures >= 1
    clock.pass_s(0.2)
    assert refusal(cache, refresh_after_s=AHEAD_S) == "not_known"


@pytest.mark.parametrize("url", ["memory://", pytest.param(f"{REDIS_URL}?prefix=", marks=pytest.mark.services)])
def test_a_cache_is_opened_by_its_url(shop, url):
    with redis_server("redis" if url.startswith("redis") else "fakeredis") as (_, prefix):
        cache = open_cache(url + prefix if "prefix" in url else url, shop, max_age_s=2)
        assert shown(cache) == shown(cache)
        assert cache.stats.hits == 1
        cache.close()
        change(shop, "1001", stock=1)


@pytest.mark.parametrize("url", ["", "memcached://x", "redis://h:x/0", "redis://h/0?prefix=", "redis://h/x?nonsense=1"])
def test_a_url_that_cannot_be_used_is_refused(shop, url):
    with pytest.raises(SettingsError):
        open_cache(url, shop)


def test_no_redis_there_at_all_is_an_outage_and_no_failure(shop):
    cache = open_cache("redis://127.0.0.1:1/0", shop)
    assert shown(cache)
    assert cache.stats.cache_failures >= 1
    cache.close()
