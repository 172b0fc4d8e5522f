"""Puts livecart together: the only place that picks implementations.

open_engine   bus, recogniser, metrics and rooms, for as long as a block lasts: `livecart watch`, `evaluate-clip`
run_rooms     the same with rooms.toml, health and the HTTP API, until it is told to stop: `livecart run`
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import awatch

from livecart.bus import Bus, open_bus
from livecart.errors import SettingsError
from livecart.health import Health
from livecart.host_console import make_host_console
from livecart.pipeline.crops import CropBook, CropSink
from livecart.pipeline.dispatcher import DispatcherSettings
from livecart.pipeline.faces import FacesSettings, open_finder
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.offer_book import OfferBook
from livecart.pipeline.outbox import EventOutbox
from livecart.pipeline.recognizer import RecognizerClient, RecognizerSettings
from livecart.pipeline.rooms import Rooms
from livecart.pipeline.supervise import end_task, keep_running
from livecart.room_book import RoomBook, restart_needed
from livecart.rooms_file import RoomsFile, read_rooms_file
from livecart.viewers import make_viewer_hub
from livecart.web import HttpServer, create_api
from livecart.web.access import TokenCheck
from livecart.web.hub import element_router, hub_router, watch_router

if TYPE_CHECKING:
    from livecart.catalog.service_settings import CatalogSettings
    from livecart.catalog_run import CatalogRun

_log = logging.getLogger(__name__)

#: Edits within this time are one: an editor writes, renames, and sets times.
_SETTLE_MS = 200


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs rooms."""

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
    crops: CropBook | None = None,
    unsure: CropSink | None = None,
    metrics: LiveMetrics | None = None,
    offers: OfferBook | None = None,
    faces: FacesSettings | None = None,
) -> AsyncIterator[Engine]:
    """Everything that rooms need. On leaving, rooms end, their cards are withdrawn, and nothing is left running.

    `unsure` takes crops of decisions that were not sure; crops of the cards shown go to `crops`.
    `offers` says what may be shown; None: whatever the recogniser names. `faces`: how to look for them; None: never.

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
        offers=offers,
        crops=crops,
        unsure=unsure,
        finder=finder,
        faces=faces,
    )
    metrics.watch_rooms(rooms.views)
    metrics.watch_bus(lambda: dataclasses.asdict(bus.stats))
    async with RecognizerClient(recognizer, product_list=rooms.product_list, meter=metrics) as client:
        outbox.start()
        rooms.start(client.recognize)
        try:
            yield Engine(rooms, client, bus, outbox, metrics)
        finally:
            await rooms.close()
            if finder is not None:
                await finder.close()
            await outbox.close()
            await bus.close()


async def run_rooms(config: Path, stop: asyncio.Event, *, on_ready: Callable[[str], None]) -> None:
    """Serve the rooms of `config`, following its edits, and the HTTP API, until `stop` is set.

    Args:
        config: a rooms.toml.
        stop: set to end.
        on_ready: told the API's address once rooms run and the API answers.

    Raises:
        SettingsError: the file cannot be used as it is at the start, or the API's address cannot be bound.
    """
    file = read_rooms_file(config)
    metrics = LiveMetrics()
    async with AsyncExitStack() as stack:
        catalog = None
        if file.catalog is not None:
            catalog = await stack.enter_async_context(_open_catalog(file.catalog, metrics))
        engine = await stack.enter_async_context(
            open_engine(
                file.recognizer,
                bus_url=file.bus.url,
                dispatcher=file.dispatcher,
                max_age_s=file.queue.max_age_s,
                metrics=metrics,
                faces=file.faces,
                offers=None if catalog is None else catalog.offers,
            )
        )
        if catalog is not None:
            engine.outbox.listen(catalog.log.put)
        book = RoomBook(engine.rooms, file)
        health = Health(engine.client.ready, engine.bus.last_event_id, lambda: engine.rooms.is_serving)
        if catalog is not None:
            health.also("database", catalog.jobs.database_answers)
        hub = make_viewer_hub(engine.rooms, engine.bus, engine.metrics, file)
        console = make_host_console(engine.rooms, engine.outbox, book, hub, file)
        viewers = [
            hub_router(hub, file.viewers, TokenCheck(file.http.token), console.tickets),
            console.router,
            watch_router(hub.admission, book.playback_url),
            element_router(file.viewers.viewer_dist),
        ]
        if catalog is not None:
            viewers += catalog.routers()
        api = create_api(book, health, engine.metrics.registry, file.http.token, hosts=console.guard, viewers=viewers)
        server = HttpServer(api, file.http.host, file.http.port)
        follower = _FileFollower(config, file, book, engine.metrics)
        tasks: list[asyncio.Task[None]] = []
        serving: asyncio.Task[None] | None = None
        try:
            await book.apply_file(file)
            works = {
                "health": health.run,
                "rooms_file": lambda: follower.run(stop),
                "viewer_hub": hub.run,
                "viewer_pings": hub.beat,
            }
            for name, work in works.items():
                tasks.append(asyncio.create_task(keep_running(name, work, engine.metrics), name=f"livecart {name}"))
            serving = asyncio.create_task(keep_running("http", server.run, engine.metrics), name="livecart http")
            on_ready(server.url)
            await stop.wait()
        finally:
            stop.set()
            # Viewers are told to come back, before the server ends their connections without a word.
            await hub.close()
            await console.feed.close()
            # While requests end, the rooms run: what they ask for is still there.
            await server.stop(serving)
            await end_task(serving)
            for task in tasks:
                await end_task(task)


def _open_catalog(settings: CatalogSettings, metrics: LiveMetrics) -> AbstractAsyncContextManager[CatalogRun]:
    # Not above: rooms without a catalog need none of its packages.
    from livecart.catalog_run import run_catalog

    return run_catalog(settings, metrics)


class _FileFollower:
    """Applies edits of rooms.toml. An edit that cannot be used changes nothing, and is logged and counted."""

    def __init__(self, path: Path, file: RoomsFile, book: RoomBook, metrics: LiveMetrics) -> None:
        self._path = path
        self._file = file
        self._book = book
        self._metrics = metrics
        self._text = self._read()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the file until `stop` is set."""
        # Folders are watched: editors put a new file in the old one's place, Kubernetes another link.
        folders = {self._path.absolute().parent, self._path.resolve().parent}
        await self._look()
        async for _ in awatch(*folders, stop_event=stop, recursive=False, debounce=_SETTLE_MS, step=50):
            await self._look()

    async def _look(self) -> None:
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
