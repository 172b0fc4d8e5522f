"""Rooms look again once the recogniser answers with a new catalog, and not before."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from livecart.core.errors import RecognizerBusy
from livecart.server import snapshot_changes
from livecart.server.snapshot_changes import SnapshotId, SnapshotWatcher
from livecart.shop.errors import PublishError
from tests.waiting import until


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(snapshot_changes, "_EVERY_S", 0.005)
    monkeypatch.setattr(snapshot_changes, "_AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(snapshot_changes, "_OVERTAKEN_S", 0.0)


class Around:
    """What is published and served, as a test sets it; counts the looks asked for. Version n is of revision 10 n."""

    def __init__(self) -> None:
        self.version: int | Exception | None = 1
        self.catalog: str | Exception | None = "a"
        self.looks = 0

    def published(self) -> SnapshotId | None:
        if isinstance(self.version, Exception):
            raise self.version
        return None if self.version is None else SnapshotId(self.version, 10 * self.version)

    async def served(self) -> str | None:
        if isinstance(self.catalog, Exception):
            raise self.catalog
        return self.catalog

    def on_snapshot_change(self) -> None:
        self.looks += 1


@asynccontextmanager
async def running(around: Around):
    fresh = SnapshotWatcher(around.published, around.served, around.on_snapshot_change)
    task = asyncio.create_task(fresh.run())
    await asyncio.sleep(0.03)
    try:
        yield fresh
    finally:
        assert not task.done(), task
        task.cancel()


async def test_a_new_catalog_is_looked_at_twice_once_it_is_served():
    around = Around()
    async with running(around):
        around.version = 2
        await asyncio.sleep(0.05)
        assert around.looks == 0
        around.catalog = "b"
        await until(lambda: around.looks == 2)
        await asyncio.sleep(0.05)
        assert around.looks == 2
        # The next one is waited for anew.
        around.version = 3
        await asyncio.sleep(0.05)
        assert around.looks == 2
        around.catalog = "c"
        await until(lambda: around.looks == 4)


async def test_without_a_new_snapshot_nothing_is_asked():
    around = Around()
    async with running(around):
        around.catalog = "b"
        await asyncio.sleep(0.05)
        assert around.looks == 0


async def test_a_recogniser_that_is_away_or_a_broken_folder_end_nothing():
    around = Around()
    async with running(around):
        around.version, around.catalog = 2, RecognizerBusy("away")
        await asyncio.sleep(0.03)
        around.catalog = "b"
        await until(lambda: around.looks == 2)
        around.version = PublishError("snapshot_missing")
        await asyncio.sleep(0.03)
        around.version, around.catalog = 3, "c"
        await until(lambda: around.looks == 4)


async def test_an_archive_that_does_not_follow_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(snapshot_changes, "_GIVE_UP_S", 0.05)
    around = Around()
    async with running(around):
        around.version = 2
        await until(lambda: "still answers with catalog" in caplog.text)
        assert around.looks == 0


async def test_others_wait_until_rooms_had_their_looks():
    around = Around()
    async with running(around) as fresh:
        await asyncio.wait_for(fresh.caught_up(10, at_most_s=60), 1)
        # Saved, not published yet; then published, not served yet.
        waiting = asyncio.create_task(fresh.caught_up(20, at_most_s=60))
        await asyncio.sleep(0.03)
        around.version = 2
        await asyncio.sleep(0.03)
        assert not waiting.done()
        around.catalog = "b"
        await asyncio.wait_for(waiting, 1)
        assert around.looks == 2


async def test_others_wait_only_so_long():
    async with running(Around()) as fresh:
        async with asyncio.timeout(1):
            await fresh.caught_up(20, at_most_s=0.05)


async def test_nobody_waits_for_an_archive_that_does_not_follow(monkeypatch):
    monkeypatch.setattr(snapshot_changes, "_GIVE_UP_S", 0.02)
    around = Around()
    async with running(around) as fresh:
        around.version = 2
        await asyncio.wait_for(fresh.caught_up(30, at_most_s=60), 1)
        # It follows again.
        around.version, around.catalog = 3, "b"
        await until(lambda: around.looks == 2)
        waiting = asyncio.create_task(fresh.caught_up(40, at_most_s=60))
        await asyncio.sleep(0.03)
        assert not waiting.done()
        waiting.cancel()


async def test_two_snapshots_taken_over_as_one_hold_nobody_up(monkeypatch, caplog):
    monkeypatch.setattr(snapshot_changes, "_OVERTAKEN_S", 0.1)
    around = Around()
    async with running(around) as fresh:
        around.version = 2
        await asyncio.sleep(0.03)
        around.version, around.catalog = 3, "c"
        await asyncio.wait_for(fresh.caught_up(30, at_most_s=60), 1)
        assert around.looks == 2
        around.version, around.catalog = 4, "d"
        await until(lambda: around.looks == 4)
    assert "still answers with catalog" not in caplog.text
