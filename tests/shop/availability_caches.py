"""Availability caches to test: a Redis of the test's own, outages played when told to, a shop and its edits."""

import uuid
from contextlib import contextmanager
from decimal import Decimal

import fakeredis
import pytest
import redis

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.repositories import products
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import REDIS_URL, missing, patch

MAX_AGE_S = 5.0
REDIS = ["fakeredis", pytest.param("redis", marks=pytest.mark.services)]


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


class Monotonic:
    def __init__(self, clock):
        self._clock = clock

    def __call__(self):
        return self._clock()


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


def stocked(store):
    """The store, with three of product 1001."""
    with store.write("alice") as session:
        products.create(session, patch("1001", price=Decimal("12.90"), currency="CNY", stock=3))
    return store


def change(store, sku="1001", **values):
    with store.write("bob") as session:
        return products.update(session, ProductPatch(sku=sku, **values), expected_version=None)


@contextmanager
def opened_cache(database, entries, clock):
    opened = AvailabilityCache(database, entries, max_age_s=MAX_AGE_S, now_s=clock, monotonic_s=Monotonic(clock))
    yield opened
    opened.close()


def shown(cache, sku, **how):
    """The product's answer where a card may be shown, else None."""
    answer = cache.check([sku], **how)[sku]
    return answer if answer.refusal is None else None
