"""Availability caches to test: a Redis of the test's own, outages played when told to, a shop and its edits."""

import uuid
from contextlib import contextmanager

import fakeredis
import pytest
import redis

from tests.shop.catalog_stores import REDIS_URL, missing

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


@contextmanager
def redis_server(kind):
    """A Redis and a prefix of this test's own."""
    if kind == "fakeredis":
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    else:
        client = redis.Redis.from_url(REDIS_URL, socket_timeout=2, protocol=2)
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            client.close()
            missing(f"no Redis at {REDIS_URL}: {error}")
    prefix = f"livecart-test-{uuid.uuid4().hex}"
    yield client, prefix
    keys = list(client.scan_iter(match=f"{prefix}*"))
    if keys:
        client.delete(*keys)
    client.close()


def shown(cache, sku="1001", **how):
    """The product's answer where a card may be shown, else None."""
    answer = cache.check([sku], **how)[sku]
    return answer if answer.refusal is None else None


def refusal(cache, sku="1001", **how):
    return cache.check([sku], **how)[sku].refusal
