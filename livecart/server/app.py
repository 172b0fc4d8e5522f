"""Puts livecart together: the only place that picks implementations.

open_engine   bus, recogniser, metrics and rooms, for as long as a block lasts: `livecart watch`, `evaluate-clip`
run_rooms     the same with rooms.toml, health and the HTTP API, until it is told to stop: `livecart run`
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from watchfiles import awatch

from livecart.core.background import end_task, keep_running
from livecart.core.errors import SettingsError
from livecart.events import Bus, open_bus
from livecart.live.enrich.availability_poller import AvailabilityPoller
from livecart.live.enrich.crops import CropCache, CropSink
from livecart.live.enrich.faces import FacesSettings, open_finder
from livecart.live.metrics import LiveMetrics
from livecart.live.outbox import EventOutbox
from livecart.live.recognise.client import RecognizerClient
from livecart.live.recognise.settings import DispatcherSettings, RecognizerSettings
from livecart.live.rooms import Rooms
from livecart.server.console import make_host_console
from livecart.server.health import HealthMonitor
from livecart.server.photo_preview import PhotoPreview
from livecart.server.room_registry import RoomRegistry, restart_needed
from livecart.server.rooms_file import RoomsFile, read_rooms_file
from livecart.server.snapshot_changes import SnapshotWatcher
from livecart.server.viewers import make_tickets, make_viewer_hub
from livecart.shop.errors import StoreUnavailable
from livecart.web import HttpServer, create_api
from livecart.web.access import TicketCheck, TokenCheck
from livecart.web.hub import element_router, hub_router, overlay_router, watch_router, whep_router

if TYPE_CHECKING:
    from livecart.server.shop import CatalogRun

_log = logging.getLogger(__name__)

#: Edits within this time are one: an editor writes, renames, and sets times.
_SETTLE_MS = 200
#: How long a preview of a photo waits for rooms, which viewers watch.
_ROOMS_FIRST_S = 8.0


@dataclass(frozen=True, slots=True)
class Engine:
    rooms: Rooms
    client: RecognizerClient
    bus: Bus
    outbox: EventOutbox
    metrics: LiveMetrics


@asynccontextmanager
async def open_engine(
    recognizer: RecognizerSettings,
    *,
    bus_url: str = "memory://",
    dispatcher: DispatcherSettings | None = None,
    max_age_s: float = 2.0,
    crops: CropCache | None = None,
    uncertain: CropSink | None = None,
    metrics: LiveMetrics | None = None,
    availability: AvailabilityPoller | None = None,
    faces: FacesSettings | None = None,
) -> AsyncIterator[Engine]:
    """Everything that rooms need. On leaving, rooms end, their cards are withdrawn, and nothing is left running.

    `uncertain` takes crops of decisions that were not sure; crops of the cards shown go to `crops`.
    `availability` says what may be shown; None: whatever the recogniser names. `faces`: how to look for them; None:
    never.

    Raises:
        SettingsError: a setting or the bus's URL cannot be used, or the face detector is required and cannot be.
    """
    metrics = metrics or LiveMetrics()
    finder = None if faces is None else await open_finder(faces, metrics)
    bus = open_bus(bus_url)
    outbox = EventOutbox(bus, metrics)
    rooms = Rooms(
        outbox,
        metrics,
        max_age_s=max_age_s,
        dispatcher=dispatcher,
        availability=availability,
        crops=crops,
        uncertain=uncertain,
        finder=finder,
        faces=faces,
    )
    metrics.watch_rooms(rooms.views)
    metrics.watch_bus(lambda: dataclasses.asdict(bus.stats))
    async with RecognizerClient(recognizer, product_list=rooms.product_list, metrics=metrics) as client:
        outbox.start()
        rooms.start(client.recognize, client.ready_workers)
        try:
            yield Engine(rooms, client, bus, outbox, metrics)
        finally:
            await rooms.close()
            if finder is not None:
                await finder.close()
            await outbox.close()
            await bus.close()


async def run_rooms(config: Path, stop: asyncio.Event, *, on_ready: Callable[[str], None]) -> None:
    """Serve the rooms of `config`, following its edits, and the HTTP API, until `stop` is set."""
    file = read_rooms_file(config)
    metrics, crops = LiveMetrics(), CropCache()
    async with AsyncExitStack() as stack:
        catalog = None
        if file.catalog is not None:
            # Not above: rooms without a catalog need none of its packages.
            from livecart.server.shop import run_catalog

            catalog = await stack.enter_async_context(run_catalog(file, metrics, crops))
        engine = await stack.enter_async_context(
            open_engine(
                file.recognizer,
                bus_url=file.bus.url,
                dispatcher=file.dispatcher,
                max_age_s=file.queue.max_age_s,
                crops=crops,
                uncertain=None if catalog is None else catalog.feedback,
                metrics=metrics,
                availability=None if catalog is None else catalog.availability,
                faces=file.faces,
            )
        )
        if catalog is not None:
            engine.outbox.listen(catalog.log.put)
        await _Served(config, file, engine, catalog).until(stop, on_ready)


class _Served:
    """Everything that answers over HTTP, and the rooms of the file."""

    def __init__(self, config: Path, file: RoomsFile, engine: Engine, catalog: CatalogRun | None) -> None:
        self._file = file
        self._engine = engine
        self._book = RoomRegistry(engine.rooms, file)
        self._health = HealthMonitor(engine.client.ready, engine.bus.last_event_id, lambda: engine.rooms.is_serving)
        if catalog is not None:
            self._health.also("database", catalog.jobs.database_answers)
        sink = None if catalog is None else catalog.feedback
        self._tickets = make_tickets(file, self._book)
        self._hub = make_viewer_hub(engine.rooms, engine.bus, engine.metrics, file, sink, tickets=self._tickets)
        self._console = make_host_console(
            engine.rooms, engine.outbox, self._book, self._hub, file, tickets=self._tickets
        )
        http = file.http
        self._server = HttpServer(self._api(catalog), http.host, http.port, http.trusted_proxies)
        self._follower = _FileFollower(config, file, self._book, engine.metrics)
        self._catalog = catalog
        self._snapshots = None
        if catalog is not None:
            self._snapshots = SnapshotWatcher(catalog.published, engine.client.served_catalog, self._on_snapshot_change)

    def _api(self, catalog: CatalogRun | None) -> FastAPI:
        token, viewers = self._file.http.token, self._file.viewers
        open_routes = [
            hub_router(self._hub, viewers, TokenCheck(token), self._tickets),
            self._console.router,
            watch_router(self._hub.admission, self._book.playback_url),
            overlay_router(self._hub),
            whep_router(self._hub.admission, self._book),
            element_router(viewers.viewer_dist),
            *([] if catalog is None else catalog.routers(self._console.guard, self._book.utm_source)),
        ]
        mounts = {}
        if catalog is not None:
            mounts["/admin"] = catalog.pages(self._book, PhotoPreview(self._engine.client, self._rooms_first))
        registry = self._engine.metrics.registry
        return create_api(
            self._book,
            self._health,
            registry,
            token,
            hosts=self._console.guard,
            publishers=TicketCheck(token, lambda room, ticket: self._tickets.admits(room, ticket, "publisher")),
            viewers=open_routes,
            mounts=mounts,
            own_limits=["/catalog/v1/"],
            audit=None if catalog is None else catalog.audit,
        )

    def _on_snapshot_change(self) -> None:
        for view in self._engine.rooms.views():
            runner = self._engine.rooms.get(view.id)
            if runner is not None:
                runner.on_snapshot_change()

    async def _rooms_first(self) -> None:
        """Wait while rooms are about to look with a catalog that has just changed."""
        if self._snapshots is None or self._catalog is None or not self._engine.rooms.views():
            return
        with suppress(StoreUnavailable):
            revision = await asyncio.to_thread(self._catalog.revision)
            await self._snapshots.caught_up(revision, at_most_s=_ROOMS_FIRST_S)

    async def until(self, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
        metrics = self._engine.metrics
        tasks: list[asyncio.Task[None]] = []
        serving: asyncio.Task[None] | None = None
        try:
            await self._book.apply_file(self._file)
            works = {
                "health": self._health.run,
                "rooms_file": lambda: self._follower.run(stop),
                "viewer_hub": self._hub.run,
                "viewer_pings": self._hub.beat,
            }
            if self._snapshots is not None:
                works["snapshot_changes"] = self._snapshots.run
            for name, work in works.items():
                tasks.append(asyncio.create_task(keep_running(name, work, metrics), name=f"livecart {name}"))
            serving = asyncio.create_task(keep_running("http", self._server.run, metrics), name="livecart http")
            on_ready(self._server.url)
            await stop.wait()
        finally:
            stop.set()
            # Viewers are told to come back, before the server ends their connections without a word.
            await self._hub.close()
            await self._console.feed.close()
            # While requests end, the rooms run: what they ask for is still there.
            await self._server.stop(serving)
            await end_task(serving)
            for task in tasks:
                await end_task(task)


class _FileFollower:
    """Applies edits of rooms.toml. An edit that cannot be used changes nothing, and is logged and counted."""

    def __init__(self, path: Path, file: RoomsFile, book: RoomRegistry, metrics: LiveMetrics) -> None:
        self._path = path
        self._file = file
        self._book = book
        self._metrics = metrics
        self._text = self._read()

    async def run(self, stop: asyncio.Event) -> None:
        # Folders are watched: editors put a new file in the old one's place, Kubernetes another link.
        folders = {self._path.absolute().parent, self._path.resolve().parent}
        await self._read_again()
        async for _ in awatch(*folders, stop_event=stop, recursive=False, debounce=_SETTLE_MS, step=50):
            await self._read_again()

    async def _read_again(self) -> None:
        text = self._read()
        if text is None or text == self._text:
            return
        self._text = text
        try:
            file = read_rooms_file(self._path)
            await self._book.apply_file(file)
        except SettingsError as error:
            self._metrics.reload("refused")
            _log.error("the edit is not taken, everything runs on as before: %s", error)
            return
        later = restart_needed(self._file, file)
        if later:
            _log.warning("%s: [%s] changed; that takes effect at the next start", self._path, "], [".join(later))
        self._file = file
        self._metrics.reload("taken")
        _log.info("%s: taken, %d rooms", self._path, len(file.rooms))

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            # Between an editor's removing and renaming; a file that stays away leaves everything as it is.
            return None
