"""A stock cache in Redis: with a Redis that is away for a while, and with two processes over one Redis."""

from __future__ import annotations

import threading

import pytest
import redis

from livecart.catalog.records import products
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.redis_entries import RedisEntries
from livecart.errors import StoreUnavailable
from tests.catalog.catalog_stores import open_upgraded, patch
from tests.catalog.stock_caches import (
    MAX_AGE_S,
    REDIS,
    Monotonic,
    Switch,
    change,
    opened_cache,
    redis_server,
    stocked,
)


@pytest.fixture(params=REDIS)
def server(request):
    with redis_server(request.param) as opened:
        yield opened


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
