"""Redis and MariaDB killed at random under edits: no acknowledged one is lost, and everything comes back by itself.

What cards say meanwhile is tests/server/test_live_catalog_kills.py. LIVECART_KILL_ROUNDS sets how many kills.
"""

import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest

from livecart.shop.availability.open import open_cache
from livecart.shop.database.store import open_store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import products
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import allow_shop, patch
from tests.shop.own_servers import both_running

ROUNDS = int(os.environ.get("LIVECART_KILL_ROUNDS", "5"))
SKUS = [f"s{number}" for number in range(4)]


@dataclass
class Editor:
    """Changes one product again and again; knows what was acknowledged, and when."""

    store: object
    sku: str
    #: (version, stock), oldest first.
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    refused: int = 0

    def run(self, stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            # Every second edit sells the product out.
            stock = number if number % 2 else 0
            try:
                with self.store.write("till") as session:
                    change = ProductPatch(sku=self.sku, stock=stock)
                    made = products.update(session, change, expected_version=None)
            except StoreUnavailable:
                self.refused += 1
            else:
                self.acknowledged.append((made.version, stock))
            stop.wait(0.01)


@pytest.fixture
def servers(tmp_path):
    with both_running(tmp_path) as running:
        yield running


@pytest.mark.services
def test_no_edit_is_lost_and_everything_comes_back(servers):
    database, redis_server = servers
    database.create("shop")
    store = open_store(database.url("shop"))
    store.upgrade()
    allow_shop(store)
    with store.write("setup") as session:
        for sku in SKUS:
            products.create(session, patch(sku, stock=1))
    # It is told of each edit.
    cache = open_cache(redis_server.url, store, max_age_s=1.0)
    editors = [Editor(store, sku) for sku in SKUS]

    def counted():
        return [len(editor.acknowledged) for editor in editors]

    stop = threading.Event()
    threads = [threading.Thread(target=editor.run, args=(stop,)) for editor in editors]
    for thread in threads:
        thread.start()
    chosen = random.Random(int(os.environ.get("LIVECART_KILL_SEED", "0")))
    try:
        for _ in range(ROUNDS):
            time.sleep(chosen.uniform(0.05, 0.5))
            server = chosen.choice(servers)
            server.kill()
            time.sleep(chosen.uniform(0.0, 1.0))
            server.start()
        before, give_up_s = counted(), time.monotonic() + 30
        while not all(now > then for then, now in zip(before, counted(), strict=True)):
            assert time.monotonic() < give_up_s, "not everything came back by itself"
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    with store.read() as session:
        for editor in editors:
            there, (version, stock) = products.get(session, editor.sku), editor.acknowledged[-1]
            assert there.version >= version
            assert there.version > version or there.stock == stock
    assert sum(editor.refused for editor in editors) > 0 or ROUNDS < 5
    assert cache.stats.cache_failures > 0 or ROUNDS < 5
    cache.close()
    store.close()
