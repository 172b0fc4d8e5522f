"""Redis and MariaDB killed at random under edits and look-ups.

No acknowledged edit is lost; nothing is confirmed that was sold out when it was read, or on older knowledge than the
bound; everything comes back by itself. LIVECART_KILL_ROUNDS sets how many kills (100 takes about five minutes).
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
MAX_AGE_S = 1.0
SKUS = [f"s{number}" for number in range(4)]


@dataclass
class Editor:
    """Changes one product again and again; knows what was acknowledged, and when."""

    store: object
    sku: str
    #: (version, moment of the acknowledgement), oldest first.
    acknowledged: list[tuple[int, float]] = field(default_factory=list)
    stock_of: dict[int, int] = field(default_factory=dict)
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
                self.stock_of[made.version] = stock
                self.acknowledged.append((made.version, time.time()))
            stop.wait(0.01)


@dataclass
class Viewer:
    """Asks for confirmations all the time and holds each against what the editors know."""

    cache: object
    editors: dict[str, Editor]
    faults: list[str] = field(default_factory=list)
    confirmed: int = 0
    silent: int = 0

    def run(self, stop: threading.Event) -> None:
        chosen = random.Random(0)
        while not stop.is_set():
            sku = chosen.choice(SKUS)
            asked_at_s = time.time()
            answer = self.cache.check([sku])[sku]
            if answer.refusal is not None:
                self.silent += 1
            else:
                self.confirmed += 1
                self._judge(answer, asked_at_s)
            time.sleep(0.001)

    def _judge(self, answer, asked_at_s: float) -> None:
        if answer.stock == 0:
            self.faults.append(f"{answer} is sold out")
        if answer.read_at_s < asked_at_s - MAX_AGE_S:
            self.faults.append(f"{answer} is {asked_at_s - answer.read_at_s:.3f} s old")
        for version, at_s in self.editors[answer.sku].acknowledged[-200:]:
            if version > answer.version and at_s < answer.read_at_s:
                self.faults.append(f"{answer}, but version {version} was there {answer.read_at_s - at_s:.3f} s before")


@pytest.fixture
def servers(tmp_path):
    with both_running(tmp_path) as running:
        yield running


@pytest.mark.services
def test_no_edit_is_lost_and_nothing_sold_out_is_shown(servers):
    database, redis_server = servers
    database.create("shop")
    stores = [open_store(database.url("shop")) for _ in range(2)]
    stores[0].upgrade()
    allow_shop(stores[0])
    with stores[0].write("setup") as session:
        for sku in SKUS:
            products.create(session, patch(sku, stock=1))
    # The second cache's store hears of no edit: it stands for another process.
    caches = [open_cache(redis_server.url, store, max_age_s=MAX_AGE_S) for store in stores]
    editors = {sku: Editor(stores[0], sku) for sku in SKUS}
    viewers = [Viewer(cache, editors) for cache in caches]

    def counted():
        return [len(editor.acknowledged) for editor in editors.values()] + [viewer.confirmed for viewer in viewers]

    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in (*editors.values(), *viewers)]
    for thread in threads:
        thread.start()
    chosen = random.Random(int(os.environ.get("LIVECART_KILL_SEED", "0")))
    try:
        for _ in range(ROUNDS):
            time.sleep(chosen.uniform(0.05, 0.5))
            server = chosen.choice(servers)
            server.kill()
            time.sleep(chosen.uniform(0.0, 1.5 * MAX_AGE_S))
            server.start()
        before, give_up_s = counted(), time.monotonic() + 30
        while not all(now > then for then, now in zip(before, counted(), strict=True)):
            assert time.monotonic() < give_up_s, "not everything came back by itself"
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert [fault for viewer in viewers for fault in viewer.faults] == []
    with stores[1].read() as session:
        for editor in editors.values():
            there = products.get(session, editor.sku)
            version, _ = editor.acknowledged[-1]
            assert there.version >= version
            if there.version == version:
                assert there.stock == editor.stock_of[version]
    if ROUNDS >= 5:
        assert sum(editor.refused for editor in editors.values()) > 0
        assert sum(cache.stats.cache_failures for cache in caches) > 0
    for opened in (*caches, *stores):
        opened.close()
