"""Rooms look again once the recogniser answers with a new catalog, and not before."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from livecart import fresh_looks
from livecart.errors import PublishError, RecognizerBusy
from livecart.fresh_looks import FreshLooks


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(fresh_looks, "_EVERY_S", 0.005)
    monkeypatch.setattr(fresh_looks, "_AGAIN_AFTER_S", 0.01)


class Around:
    """What is published and served, as a test sets it; counts the looks asked for."""

    def __init__(self) -> None:
        self.version: int | Exception | None = 1
        self.catalog: str | Exception | None = "a"
        self.looks = 0

    def published(self) -> int | None:
        if isinstance(self.version, Exception):
            raise self.version
        return self.version

    async def served(self) -> str | None:
        if isinstance(self.catalog, Exception):
            raise self.catalog
        return self.catalog

    def look_again(self) -> None:
        self.looks += 1


@asynccontextmanager
async def running(around: Around):
    task = asyncio.create_task(FreshLooks(around.published, around.served, around.look_again).run())
    await asyncio.sleep(0.03)
    try:
        yield
    finally:
        assert not task.done(), task
        task.cancel()


async def until(done, within_s: float = 2.0) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.002)


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
        around.version = PublishError("not ours")
        await asyncio.sleep(0.03)
        around.version, around.catalog = 3, "c"
        await until(lambda: around.looks == 4)


async def test_an_archive_that_does_not_follow_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(fresh_looks, "_GIVE_UP_S", 0.05)
    around = Around()
    async with running(around):
        around.version = 2
        await until(lambda: "no other catalog" in caplog.text)
        assert around.looks == 0
