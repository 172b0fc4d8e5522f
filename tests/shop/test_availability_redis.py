"""An availability cache in Redis: with a Redis that is away for a while, and with two processes over one Redis."""

import pytest
import redis

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.redis_entries import RedisEntries
from livecart.shop.repositories import hosts, products
from tests.shop.availability_caches import (
    MAX_AGE_S,
    REDIS,
    Monotonic,
    Switch,
    change,
    redis_server,
    shown,
)
from tests.shop.catalog_stores import open_upgraded, patch


@pytest.fixture(params=REDIS)
def server(request):
    with redis_server(request.param) as opened:
        yield opened


@pytest.fixture
def shop(stocked_store):
    return stocked_store


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
        assert shown(cache, "1001")
        assert shown(cache, "1001")
        assert cache.stats.misses == 2
        assert cache.stats.cache_failures >= 2
        change(shop, stock=0)
        assert shown(cache, "1001") is None

    def test_the_log_says_once_that_it_is_away_and_that_it_is_back(self, cache, client, clock, caplog):
        caplog.set_level("INFO", "livecart")
        client.up = False
        for _ in range(5):
            shown(cache, "1001")
            clock.pass_s(2)
        client.up = True
        for _ in range(3):
            shown(cache, "1001")
        said = [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()]
        assert [line.split(": ")[1].split(",")[0] for line in said] == ["Redis does not answer", "Redis answers again"]

    def test_it_is_left_alone_for_a_moment_and_then_used_again(self, cache, client, clock):
        client.up = False
        for _ in range(50):
            assert shown(cache, "1001")
        assert client.calls == 1
        client.up = True
        clock.pass_s(1.1)
        assert shown(cache, "1001")
        assert shown(cache, "1001")
        assert cache.stats.hits == 1

    def test_it_is_told_of_edits_that_it_missed_before_it_is_believed(self, cache, client, shop, clock):
        assert shown(cache, "1001")
        client.up = False
        change(shop, stock=0)
        client.up = True
        clock.pass_s(1.1)
        assert shown(cache, "1001") is None

    def test_more_missed_edits_than_are_remembered_empty_it(self, cache, client, shop, clock, monkeypatch):
        monkeypatch.setattr("livecart.shop.availability.redis_entries._MOST_UNSENT", 2)
        assert shown(cache, "1001")
        client.up = False
        change(shop, stock=0)
        with shop.write("alice") as session:
            for sku in "abc":
                products.create(session, patch(sku))
        client.up = True
        clock.pass_s(1.1)
        assert shown(cache, "1001") is None

    def test_both_away_is_silence(self, cache, client, database):
        assert shown(cache, "1001")
        client.up = database.up = False
        assert shown(cache, "1001") is None

    @pytest.mark.parametrize("text", [b"{", b"", b'{"sku": "\xff"}', b"[]"])
    def test_what_is_no_entry_is_read_anew(self, cache, server, text):
        server[0].set(f"{server[1]}:availability:entry:1001", text)
        assert shown(cache, "1001")


class TestTwoProcesses:
    """Two caches over one Redis, as two processes have them."""

    @pytest.fixture
    def pair(self, shop, server, store_url, clock):
        other_store = open_upgraded(store_url, now_s=clock)
        caches = [
            AvailabilityCache(
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
        assert shown(one, "1001") == shown(other, "1001")
        assert (other.stats.hits, other.stats.misses) == (1, 0)

    def test_an_edit_of_one_is_seen_by_the_other_at_once(self, pair, shop):
        _, other = pair
        assert shown(other, "1001")
        change(shop, stock=0)
        assert shown(other, "1001") is None

    def test_forbidding_a_host_in_one_is_seen_by_the_other_at_once(self, pair, shop):
        _, other = pair
        assert shown(other, "1001")
        with shop.write("alice") as session:
            hosts.forbid(session, "shop.example.com")
        assert shown(other, "1001") is None

    def test_what_one_read_before_the_others_edit_is_not_believed(self, pair, shop):
        one, other = pair
        before = other._entries.get(["1001"])
        entry = shown(other, "1001")
        change(shop, stock=0)
        other._entries.put([entry], before.edits)
        assert shown(one, "1001") is None
        assert shown(other, "1001") is None
