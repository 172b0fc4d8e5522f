"""What runs beside the rooms: it waits for a database that is not there, reads feeds, deletes what is old."""

import asyncio
import logging
from contextlib import contextmanager

import pytest

from livecart.core.background import end_task, keep_running
from livecart.live.metrics import LiveMetrics
from livecart.server.shop_jobs import CatalogJobs
from livecart.shop.database.store import Store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import cards, products
from livecart.shop.service import CatalogSettings, open_catalog
from livecart.shop.settings import Keep, TableFeed
from tests.server.test_outbox import event
from tests.shop.catalog_stores import allow_shop
from tests.waiting import until


@pytest.fixture
def settings(tmp_path):
    return {"url": f"sqlite:///{tmp_path / 'c.db'}", "folder": str(tmp_path / "catalog"), "publish": False}


@contextmanager
def opened(settings, **more):
    with open_catalog(CatalogSettings(**settings, **more)) as service:
        yield service, CatalogJobs(service)


async def test_a_database_that_is_not_there_yet_is_waited_for(settings, monkeypatch, caplog):
    monkeypatch.setattr("livecart.server.shop_jobs._FIRST_RETRY_S", 0.02)
    real, attempts = Store.upgrade, []

    def upgrade(store, revision="head"):
        attempts.append(1)
        if len(attempts) < 4:
            raise StoreUnavailable("store_silent", cause="gone")
        real(store, revision)

    monkeypatch.setattr(Store, "upgrade", upgrade)
    with opened(settings) as (_, jobs), caplog.at_level(logging.WARNING):
        assert await jobs.database_answers() is False
        task = asyncio.create_task(jobs.prepare())
        assert await jobs.prepared(0.01) is False
        assert await jobs.prepared(10) is True
        await task
        assert await jobs.database_answers() is True
        assert caplog.text.count("the catalog is not open yet") == 3
        await jobs.close()


async def test_a_probe_does_not_wait_for_a_database_that_hangs(settings, monkeypatch):
    monkeypatch.setattr("livecart.server.shop_jobs._PING_S", 0.05)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    pings = []

    def ping(store):
        pings.append(1)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)

    with opened(settings) as (_, jobs):
        await jobs.prepare()
        monkeypatch.setattr(Store, "ping", ping)
        for _ in range(3):
            assert await jobs.database_answers() is False
        assert len(pings) == 1
        release.set()
        await until(jobs._ping.done)
        assert await jobs.database_answers() is True
        await jobs.close()


async def test_feeds_are_read_by_themselves_and_counted(settings, tmp_path):
    table = tmp_path / "feed.csv"
    table.write_text("sku,name,url\n1,螺蛳粉,https://shop.example.com/1\n")
    feeds = (TableFeed(name="erp", path=str(table)), TableFeed(name="gone", path=str(tmp_path / "nothing.csv")))
    with opened(settings, feeds=feeds) as (service, jobs):
        service.store.upgrade()
        allow_shop(service.store)
        await jobs.prepare()
        await until(lambda: jobs.sync_stats["erp"].done == 1 and jobs.sync_stats["gone"].alarms == 1)
        with service.store.read() as session:
            assert products.get(session, "1").source == "erp"
        await jobs.close()


async def test_what_is_old_is_deleted_again_and_again_and_after_an_outage(settings, monkeypatch):
    for name, seconds in (("AFTER", 0.0), ("EVERY", 0.05), ("RETRY", 0.05)):
        monkeypatch.setattr(f"livecart.server.shop_jobs._RETENTION_{name}_S", seconds)
    real, outages = CatalogJobs.purge_once, [1, 1]

    def purge_once(jobs):
        if outages:
            outages.pop()
            raise StoreUnavailable("store_silent", cause="gone")
        return real(jobs)

    monkeypatch.setattr(CatalogJobs, "purge_once", purge_once)
    with opened(settings, keep=Keep(cards_s=10.0)) as (service, jobs):
        await jobs.prepare()
        task = asyncio.create_task(keep_running("retention", jobs.retain, LiveMetrics()))
        for number in (1, 2):
            with service.store.write("test") as session:
                cards.record(session, event(number, emitted_at_s=service.store.now_s() - 11))
                cards.record(session, event(number + 10, emitted_at_s=service.store.now_s()))
            await until(lambda number=number: jobs.purged["cards"] == number)
        with service.store.read() as session:
            assert {int(card.card_id, 16) for card in cards.latest(session)} == {11, 12}
        assert outages == []
        await end_task(task)
        await jobs.close()
