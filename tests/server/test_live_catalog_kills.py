"""Redis and MariaDB killed at random under a running room: no card stands for a sold-out product after its bound.

LIVECART_KILL_ROUNDS sets how many kills.
"""

import asyncio
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from livecart.shop.errors import StoreUnavailable
from tests.live.video.streams import ByteServer
from tests.server.catalog_rooms import MAX_AGE_S, Shop, on_air, rooms_file
from tests.shop.own_servers import both_running
from tests.waiting import until

ROUNDS = int(os.environ.get("LIVECART_KILL_ROUNDS", "4"))
#: The age, the look at standing cards, and what a loaded machine adds.
BOUND_S = MAX_AGE_S + 1.0
SOLD_OUT_FOR_S = BOUND_S + 1.5


@dataclass
class Till:
    """Sells out and in again. `sold_out` has (acknowledged, next edit begun): certain that there is none between."""

    shop: Shop
    sold_out: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0

    def run(self, stop: threading.Event) -> None:
        stock = 0
        while not stop.is_set():
            try:
                self.shop.change("red", stock=stock)
            except StoreUnavailable:
                # It may have been saved or not: nothing is certain until the next one.
                self.refused += 1
                stop.wait(0.1)
                continue
            acknowledged_s = time.time()
            stop.wait(SOLD_OUT_FOR_S if stock == 0 else 0.7)
            if stock == 0:
                self.sold_out.append((acknowledged_s, time.time()))
            stock = 1 - stock


@pytest.fixture
def servers(tmp_path):
    with both_running(tmp_path) as running:
        yield running


def standing(events, until_s):
    """From when to when a card was shown."""
    began_s, spans = None, []
    for event in events:
        if event.event == "card":
            began_s = event.emitted_at_s
        elif event.event == "withdraw" and began_s is not None:
            spans.append((began_s, event.emitted_at_s))
            began_s = None
    return [*spans, *([(began_s, until_s)] if began_s is not None else [])]


@pytest.mark.services
@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_no_card_stands_for_a_sold_out_product_after_its_bound(servers, tmp_path, archive, flv, monkeypatch):
    database, redis_server = servers
    database.create("shop")
    shop = Shop(database.url("shop"))
    shop.sell("red", stock=1)
    catalog = f'url = "{database.url("shop")}"\ncache = "{redis_server.url}"\npublish = false'
    chosen = random.Random(int(os.environ.get("LIVECART_KILL_SEED", "0")))
    till, stop = Till(shop), threading.Event()
    thread = threading.Thread(target=till.run, args=(stop,))
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as stream:
        path = rooms_file(tmp_path, recognizer=archive.url, source=stream.url, catalog=catalog)
        async with on_air(path, monkeypatch) as show:
            await until(lambda: show.told() == ["card"])
            thread.start()
            try:
                for _ in range(ROUNDS):
                    await asyncio.sleep(chosen.uniform(0.1, 2.0))
                    server = chosen.choice(servers)
                    await asyncio.to_thread(server.kill)
                    await asyncio.sleep(chosen.uniform(0.0, 2 * MAX_AGE_S))
                    await asyncio.to_thread(server.start)
                await until(lambda: len(till.sold_out) >= 2, 60)
            finally:
                stop.set()
                await asyncio.to_thread(thread.join, 30)
            before = len(show.events)
            shop.change("red", stock=1)
            await until(lambda: standing(show.events, time.time()) and show.told()[-1] == "card", 15)
            shown = standing(show.events[:before], time.time())
            # What stands at the end is allowed to; each event was emitted, and in order.
            assert [event.event_id for event in show.events] == list(range(1, len(show.events) + 1))
    faults = [
        f"a card stood from {began_s:.2f} to {ended_s:.2f}, sold out from {out_s:.2f} to {back_s:.2f}"
        for began_s, ended_s in shown
        for out_s, back_s in till.sold_out
        if began_s < back_s and ended_s > out_s + BOUND_S
    ]
    assert faults == []
    # The card was there, went, and came back: at the latest with the stock of the end.
    assert len(standing(show.events, time.time())) >= 2
    shop.store.close()


@pytest.mark.services
@pytest.mark.timeout(120)
async def test_a_database_that_hangs_takes_the_card_within_the_bound_and_gives_it_back(
    servers, tmp_path, archive, flv, monkeypatch
):
    database, redis_server = servers
    database.create("shop")
    shop = Shop(database.url("shop"))
    shop.sell("red", stock=1)
    catalog = f'url = "{database.url("shop")}"\ncache = "{redis_server.url}"\npublish = false'
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as stream:
        path = rooms_file(tmp_path, recognizer=archive.url, source=stream.url, catalog=catalog)
        async with on_air(path, monkeypatch) as show:
            await until(lambda: show.told() == ["card"])
            database._process.send_signal(signal.SIGSTOP)
            began_s = time.monotonic()
            try:
                await until(lambda: show.told() == ["card", ("withdraw", "off_sale")])
                assert time.monotonic() - began_s < BOUND_S
                # Probes and viewers are answered meanwhile.
                assert (await show.client.get("/healthz")).status_code == 200
            finally:
                database._process.send_signal(signal.SIGCONT)
            await until(lambda: show.told()[-1] == "card", 30)
    shop.store.close()
