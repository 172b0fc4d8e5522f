"""An availability cache opened by its URL, and URLs of which none can be opened."""

import uuid

import pytest

from livecart.core.errors import SettingsError
from livecart.shop.availability.open import open_cache
from tests.shop.availability_caches import change, redis_client, shown, stocked
from tests.shop.catalog_stores import REDIS_URL


@pytest.fixture
def shop(store):
    return stocked(store)


def test_a_cache_is_opened_by_its_url(shop):
    cache = open_cache("memory://", shop)
    assert shown(cache, "1001")
    cache.close()
    change(shop, stock=1)


@pytest.mark.services
def test_a_redis_cache_is_opened_by_its_url(shop):
    redis_client("redis").close()
    prefix = f"livecart-test-{uuid.uuid4().hex}"
    cache = open_cache(f"{REDIS_URL}?prefix={prefix}", shop, max_age_s=2)
    assert shown(cache, "1001")
    assert shown(cache, "1001")
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
    assert shown(cache, "1001")
    assert cache.stats.cache_failures >= 1
    cache.close()
