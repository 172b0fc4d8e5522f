"""Background jobs of the catalog in `livecart run`: tables, snapshots, feeds, retention."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

from livecart.core.background import Backoff
from livecart.shop.errors import StoreUnavailable
from livecart.shop.retention import Purged, purge
from livecart.shop.service import CatalogService
from livecart.shop.sync.images import ImageFetcher
from livecart.shop.sync.schedule import SyncSchedule
from livecart.shop.sync.syncer import Syncer, SyncStats

_log = logging.getLogger(__name__)

#: Between two attempts to reach a database that was never there.
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10.0
_RETENTION_EVERY_S = 86_400.0
#: After a start others come first: rooms connect, viewers come back.
_RETENTION_AFTER_S = 60.0
_RETENTION_RETRY_S = 600.0
#: How long a probe waits for the database.
_PING_S = 1.5


class CatalogJobs:
    """`works` are to be kept running in the event loop; `close` ends what they started in threads."""

    def __init__(self, service: CatalogService) -> None:
        self._service = service
        #: By feed.
        self.sync_stats: dict[str, SyncStats] = {feed.name: SyncStats() for feed in service.settings.feeds}
        #: Rows and files that retention deleted, by kind.
        self.purged: dict[str, int] = dict.fromkeys(asdict(Purged()), 0)
        self.schedule = SyncSchedule(
            [
                (
                    Syncer(service.store, feed.source(), guard=feed.guard, stats=self.sync_stats[feed.name]),
                    feed.every_s,
                )
                for feed in service.settings.feeds
            ]
        )
        self.images = ImageFetcher(service.store, service.photos)
        self._prepared = asyncio.Event()
        self._stopping = threading.Event()
        self._ping: asyncio.Future[None] | None = None

    @property
    def works(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {"catalog": self.prepare, "catalog_retention": self.retain, "catalog_images": self.fetch_images}

    async def prepare(self) -> None:
        """Bring the tables to this version, as soon as the database answers; then publish, and read feeds."""
        backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        while True:
            try:
                await asyncio.to_thread(self._service.store.upgrade)
                break
            except StoreUnavailable as error:
                _log.warning("the catalog is not open yet, no card is shown: %s", error)
                await backoff.wait()
        self._prepared.set()
        if self._service.publisher is not None:
            self._service.publisher.start()
        self.schedule.start()
        _log.info("the catalog is open")

    async def prepared(self, within_s: float | None = None) -> bool:
        """Wait until the tables are there, None: however long; whether they are."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._prepared.wait(), within_s)
        return self._prepared.is_set()

    async def fetch_images(self) -> None:
        """Fetch the pictures that products name by URL."""
        await self._prepared.wait()
        await self.images.run()

    async def retain(self) -> None:
        """Delete once a day what was kept for long enough."""
        await self._prepared.wait()
        await asyncio.sleep(_RETENTION_AFTER_S)
        while True:
            try:
                await asyncio.to_thread(self.purge_once)
                pause_s = _RETENTION_EVERY_S
            except StoreUnavailable as error:
                _log.warning("old records are deleted later: %s", error)
                pause_s = _RETENTION_RETRY_S
            await asyncio.sleep(pause_s)

    def purge_once(self) -> Purged:
        """Delete what was kept for long enough. Blocks."""
        service = self._service
        purged = purge(
            service.store,
            keep=service.settings.keep,
            crops=service.crops,
            photo_blobs=service.photos,
            now_s=service.store.now_s(),
            stop=self._stopping.is_set,
        )
        for kind, count in asdict(purged).items():
            self.purged[kind] += count
        return purged

    async def database_answers(self) -> bool:
        """For a probe: whether the tables are there and the database answers now. Never takes long."""
        if not self._prepared.is_set():
            return False
        if self._ping is None or self._ping.done():
            # One at a time: a database that hangs must not take a thread with each probe.
            self._ping = asyncio.ensure_future(asyncio.to_thread(self._service.store.ping))
        ping = self._ping
        await asyncio.wait({ping}, timeout=_PING_S)
        return ping.done() and not ping.cancelled() and ping.exception() is None

    async def close(self) -> None:
        """End what was started; a build is killed, a feed goes on next time."""
        self._stopping.set()
        stops: list[Callable[[], bool]] = [self.schedule.stop]
        if self._service.publisher is not None:
            stops.append(self._service.publisher.stop)
        results = await asyncio.gather(*(asyncio.to_thread(stop) for stop in stops), return_exceptions=True)
        for result in results:
            if result is not True:
                _log.error("a job of the catalog did not end in time: %s", result)
