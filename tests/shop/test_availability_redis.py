"""An availability cache in Redis: with a Redis that is away for a while, and with two processes over one Redis."""

import pytest
import redis

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.redis_entries import RedisEntries
from livecart.shop.database.store import open_store
from livecart.shop.repositories import hosts
from tests.shop.availability_caches import MAX_AGE_S, REDIS, Switch, redis_server, shown
from tests.shop.catalog_stores import add, change, patch


@pytest.fixture(params=REDIS)
def server(request):
    with redis_server(request.param) as opened:
        yield opened


@pytest.fixture
def client(server):
    return Switch(server[0], redis.ConnectionError("gone"))


@pytest.fixture
def entries(client, server, clock):
    return RedisEntries(client, prefix=server[1], keep_s=MAX_AGE_S, monotonic_s=clock)


def test_without_redis_the_database_is_asked_each_time(cache, client, database, shop):
    client.up = False
    assert shown(cache)
    assert shown(cache)
    assert cache.stats.misses == 2
    assert cache.stats.cache_failures >= 2
    change(shop, "1001", stock=0)
    assert shown(cache) is None
    database.up = False
    assert shown(cache) is None


def test_the_log_says_once_that_it_is_away_and_that_it_is_back(cache, client, clock, caplog):
    caplog.set_level("INFO", "livecart")
    client.up = False
    for _ in range(5):
        shown(cache)
        clock.pass_s(2)
    client.up = True
    for _ in range(3):
        shown(cache)
    said = [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()]
    assert [line.split(": ")[1].split(",")[0] for line in said] == ["Redis does not answer", "Redis answers again"]


def test_it_is_left_alone_for_a_moment_and_then_used_again(cache, client, clock):
    client.up = False
    for _ in range(50):
        assert shown(cache)
    assert client.calls == 1
    client.up = True
    clock.pass_s(1.1)
    assert shown(cache)
    assert shown(cache)
    assert cache.stats.hits == 1


@pytest.mark.parametrize("more", ["", "abc"], ids=["few", "more than are remembered"])
def test_it_is_told_of_edits_that_it_missed_before_it_is_believed(cache, client, shop, clock, monkeypatch, more):
    monkeypatch.setattr("livecart.shop.availability.redis_entries._MOST_UNSENT", 2)
    assert shown(cache)
    client.up = False
    change(shop, "1001", stock=0)
    add(shop, *map(patch, more))
    client.up = True
    clock.pass_s(1.1)
    assert shown(cache) is None


def test_what_is_no_entry_is_read_anew(cache, server):
    for text in (b"{", b"", b'{"sku": "\xff"}', b"[]"):
        server[0].set(f"{server[1]}:availability:entry:1001", text)
        assert shown(cache)


@pytest.fixture
def pair(shop, server, sqlite_url, clock):
    """Two caches over one Redis, as two processes have them."""
    other_store = open_store(sqlite_url, now_s=clock)
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


def test_what_one_reads_or_edits_counts_for_both_at_once(pair, shop):
    one, other = pair
    assert shown(one) == shown(other)
    assert (other.stats.hits, other.stats.misses) == (1, 0)
    change(shop, "1001", stock=0)
    assert shown(other) is None
    change(shop, "1001", stock=1)
    assert shown(other)
    with shop.write("alice") as session:
        hosts.forbid(session, "shop.example.com")
    assert shown(other) is None


def test_what_one_read_before_the_others_edit_is_not_believed(pair, shop):
    one, other = pair
    before = other._entries.get(["1001"])
    entry = shown(other)
    change(shop, "1001", stock=0)
    other._entries.put([entry], before.edits)
    assert shown(one) is None
    assert shown(other) is None
