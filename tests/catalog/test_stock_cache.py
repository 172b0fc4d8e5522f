"""The stock cache: what it confirms, and for how long, with Redis and the database up and down.

Each kind of cache on each kind of database; the outages are played by stand-ins that fail when told to.
"""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import fakeredis
import pytest
import redis

from livecart.catalog.records import hosts, products
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.memory_entries import MemoryEntries
from livecart.catalog.stock.open import open_cache
from livecart.catalog.stock.redis_entries import RedisEntries
from livecart.catalog.values import ProductPatch
from livecart.errors import SettingsError, StoreUnavailable
from tests.catalog.catalog_stores import REDIS_URL, missing, open_upgraded, patch

MAX_AGE_S = 5.0


class Switch:
    """A Redis client or a store that can be taken away."""

    def __init__(self, real, error):
        self._real, self._error = real, error
        self.up = True
        self.calls = 0

    def __getattr__(self, name):
        value = getattr(self._real, name)
        if not callable(value) or name in {"on_change", "close", "now_s"}:
            return value

        def call(*args, **kwargs):
            self.calls += 1
            if not self.up:
                raise self._error
            return value(*args, **kwargs)

        return call


def redis_client(kind):
    if kind == "fakeredis":
        return fakeredis.FakeRedis(server=fakeredis.FakeServer())
    client = redis.Redis.from_url(REDIS_URL, socket_timeout=2, protocol=2)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        client.close()
        missing(f"no Redis at {REDIS_URL}: {error}")
    return client


@contextmanager
def redis_server(kind):
    """A Redis and a prefix of this test's own."""
    client = redis_client(kind)
    prefix = f"livecart-test-{uuid.uuid4().hex}"
    yield client, prefix
    keys = list(client.scan_iter(match=f"{prefix}*"))
    if keys:
        client.delete(*keys)
    client.close()


REDIS = ["fakeredis", pytest.param("redis", marks=pytest.mark.services)]


@pytest.fixture(params=REDIS)
def server(request):
    with redis_server(request.param) as opened:
        yield opened


@pytest.fixture(params=["memory", *REDIS])
def entries(request):
    if request.param == "memory":
        yield MemoryEntries()
        return
    with redis_server(request.param) as (client, prefix):
        yield RedisEntries(client, prefix=prefix, keep_s=MAX_AGE_S)


@pytest.fixture
def shop(store):
    with store.write("alice") as session:
        products.create(session, patch("1001", price=Decimal("12.90"), currency="CNY", stock=3))
    return store


@pytest.fixture
def database(shop):
    return Switch(shop, StoreUnavailable("gone"))


class Monotonic:
    def __init__(self, clock):
        self._clock = clock

    def __call__(self):
        return self._clock()


@pytest.fixture
def cache(database, entries, clock):
    opened = StockCache(database, entries, max_age_s=MAX_AGE_S, now_s=clock, monotonic_s=Monotonic(clock))
    yield opened
    opened.close()


def change(store, sku="1001", **values):
    with store.write("bob") as session:
        return products.update(session, ProductPatch(sku=sku, **values), expected_version=None)


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


class TestRedisAway:
    """With a Redis that can be taken away."""

    @pytest.fixture
    def client(self, server):
        return Switch(server[0], redis.ConnectionError("gone"))

    @pytest.fixture
    def entries(self, client, server, clock):
        return RedisEntries(client, prefix=server[1], keep_s=MAX_AGE_S, monotonic_s=Monotonic(clock))

    def test_the_database_is_asked_each_time(self, cache, client, shop):
        client.up = False
        assert cache.confirm("1001")
        assert cache.confirm("1001")
        assert cache.stats.misses == 2
        assert cache.stats.cache_failures >= 2
        change(shop, stock=0)
        assert cache.confirm("1001") is None

    def test_the_log_says_once_that_it_is_away_and_that_it_is_back(self, cache, client, clock, caplog):
        caplog.set_level("INFO", "livecart")
        client.up = False
        for _ in range(5):
            cache.confirm("1001")
            clock.pass_s(2)
        client.up = True
        for _ in range(3):
            cache.confirm("1001")
        said = [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()]
        assert [line.split(": ")[1].split(",")[0] for line in said] == ["Redis does not answer", "Redis answers again"]

    def test_it_is_left_alone_for_a_moment_and_then_used_again(self, cache, client, clock):
        client.up = False
        for _ in range(50):
            assert cache.confirm("1001")
        assert client.calls == 1
        client.up = True
        clock.pass_s(1.1)
        assert cache.confirm("1001")
        assert cache.confirm("1001")
        assert cache.stats.hits == 1

    def test_it_is_told_of_edits_that_it_missed_before_it_is_believed(self, cache, client, shop, clock):
        assert cache.confirm("1001")
        client.up = False
        change(shop, stock=0)
        client.up = True
        clock.pass_s(1.1)
        assert cache.confirm("1001") is None

    def test_more_missed_edits_than_are_remembered_empty_it(self, cache, client, shop, clock, monkeypatch):
        monkeypatch.setattr("livecart.catalog.stock.redis_entries._MOST_UNTOLD", 2)
        assert cache.confirm("1001")
        client.up = False
        change(shop, stock=0)
        with shop.write("alice") as session:
            for sku in "abc":
                products.create(session, patch(sku))
        client.up = True
        clock.pass_s(1.1)
        assert cache.confirm("1001") is None

    def test_both_away_is_silence(self, cache, client, database):
        assert cache.confirm("1001")
        client.up = database.up = False
        assert cache.confirm("1001") is None

    @pytest.mark.parametrize("text", [b"{", b"", b'{"sku": "\xff"}', b"[]"])
    def test_what_is_no_entry_is_read_anew(self, cache, server, text):
        server[0].set(f"{server[1]}:stock:1001", text)
        assert cache.confirm("1001")


class TestTwoProcesses:
    """Two caches over one Redis, as two processes have them."""

    @pytest.fixture
    def pair(self, shop, server, store_url, clock):
        other_store = open_upgraded(store_url, now_s=clock)
        caches = [
            StockCache(
                of, RedisEntries(server[0], prefix=server[1], keep_s=MAX_AGE_S), max_age_s=MAX_AGE_S, now_s=clock
            )
            for of in (shop, other_store)
        ]
        yield caches
        for cache in caches:
            cache.close()
        other_store.close()

    def test_one_reads_for_both(self, pair):
        one, other = pair
        assert one.confirm("1001") == other.confirm("1001")
        assert (other.stats.hits, other.stats.misses) == (1, 0)

    def test_an_edit_of_one_is_seen_by_the_other_at_once(self, pair, shop):
        _, other = pair
        assert other.confirm("1001")
        change(shop, stock=0)
        assert other.confirm("1001") is None

    def test_who_finds_the_lock_taken_takes_what_the_holder_puts(self, pair, server):
        one, other = pair
        assert one._entries.try_lock("1001")
        generation = one._entries.generation("1001")
        entry = one._read("1001")
        answer = []
        waiting = threading.Thread(target=lambda: answer.append(other.lookup("1001")))
        waiting.start()
        one._entries.put(entry, generation)
        waiting.join(5)
        assert answer == [entry]
        assert other.stats.misses == 0

    def test_a_holder_that_died_holds_nobody_up(self, pair):
        one, other = pair
        assert one._entries.try_lock("1001")
        assert other.lookup("1001").stock == 3

    def test_an_unlock_frees_only_ones_own(self, pair):
        one, other = pair
        assert one._entries.try_lock("1001")
        other._entries.unlock("1001")
        assert not other._entries.try_lock("1001")
        one._entries.unlock("1001")
        assert other._entries.try_lock("1001")


def test_memory_keeps_the_most_recently_used(shop, clock):
    cache = StockCache(shop, MemoryEntries(most_entries=2), max_age_s=MAX_AGE_S, now_s=clock)
    for sku in ("a", "b", "a", "c", "a", "b"):
        cache.lookup(sku)
    assert (cache.stats.hits, cache.stats.misses) == (2, 4)
    cache.close()


def test_a_cache_is_opened_by_its_url(shop):
    cache = open_cache("memory://", shop)
    assert cache.confirm("1001")
    cache.close()
    change(shop, stock=1)


@pytest.mark.services
def test_a_redis_cache_is_opened_by_its_url(shop):
    redis_client("redis").close()
    prefix = f"livecart-test-{uuid.uuid4().hex}"
    cache = open_cache(f"{REDIS_URL}?prefix={prefix}", shop, max_age_s=2)
    assert cache.confirm("1001")
    assert cache.confirm("1001")
    assert cache.stats.hits == 1
    cache.close()


@pytest.mark.parametrize(
    "url", ["", "memcached://x", "redis://", "redis://h:x/0", "redis://h/0?prefix=", "redis://h/x?nonsense=1"]
)
def test_a_url_that_cannot_be_used_is_refused(sqlite_store, url):
    with pytest.raises(SettingsError):
        open_cache(url, sqlite_store)


def test_no_redis_there_at_all_is_an_outage_and_no_failure(shop):
    cache = open_cache("redis://127.0.0.1:1/0", shop)
    assert cache.confirm("1001")
    assert cache.stats.cache_failures >= 1
    cache.close()
