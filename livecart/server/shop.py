"""The catalog beside the rooms of `livecart run`: what cards ask it, what it keeps of them, its jobs, its files."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.types import ASGIApp

from livecart.core.background import end_task, keep_running
from livecart.core.errors import SettingsError
from livecart.core.types import HostControls
from livecart.live.enrich.availability_poller import AvailabilityPoller, every_s
from livecart.live.enrich.crops import CropCache
from livecart.live.metrics import LiveMetrics
from livecart.server.card_log import CardLog
from livecart.server.feedback_store import StoreFeedback
from livecart.server.rooms_file import RoomsFile
from livecart.server.shop_availability import ShopAvailability
from livecart.server.shop_jobs import CatalogJobs
from livecart.server.shop_metrics import CatalogCollector
from livecart.server.snapshot_changes import SnapshotId
from livecart.shop.admin import RecognizePhoto, admin_app
from livecart.shop.api import ApiStats, catalog_router
from livecart.shop.attribution import attribution_router
from livecart.shop.database.session import Change, audit_change, revision
from livecart.shop.errors import StoreUnavailable
from livecart.shop.files import files_router
from livecart.shop.service import CatalogService, open_catalog
from livecart.shop.settings import CatalogSettings
from livecart.shop.slots import slots_router
from livecart.shop.webhooks.post import Poster
from livecart.shop.webhooks.sender import WebhookSender
from livecart.web.access import TicketCheck

_log = logging.getLogger(__name__)

#: How long a start waits for the database; rooms run without it too, and show no card.
_PREPARED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class CatalogRun:
    """The catalog of a process that runs rooms."""

    service: CatalogService
    #: For `open_engine`: a card needs its word.
    availability: AvailabilityPoller
    #: Gets every event that went out.
    log: CardLog
    #: Takes viewers' feedback, and crops of uncertain decisions.
    feedback: StoreFeedback
    jobs: CatalogJobs
    api_stats: ApiStats
    #: Of `/go` and `/postback`.
    link_stats: Counter[str]

    def routers(self, hosts: TicketCheck, utm_source: Callable[[str], str]) -> list[APIRouter]:
        """Routes of the catalog; each says itself who may ask. `hosts` lets a room's host in."""
        catalog = catalog_router(self.service, stats=self.api_stats)
        links = attribution_router(self.service, utm_source, self.link_stats)
        return [files_router(self.service), catalog, slots_router(self.service, hosts), links]

    def published(self) -> SnapshotId | None:
        """The snapshot published last, by whichever process; None: none."""
        published = self.service.snapshots.current()
        try:
            offers = self.service.snapshots.offers.stat().st_mtime_ns
        except OSError:
            offers = 0
        return None if published is None else SnapshotId(published.version, published.revision, offers)

    def revision(self) -> int:
        """The catalog's, as it is now; blocks."""
        with self.service.store.read() as session:
            return revision(session)

    async def audit(self, who: str, wish: str, room: str, sku: str | None) -> None:
        """Write into the audit log what a host has done; a database that is away keeps no host from it."""

        def note(session: Session) -> None:
            audit_change(session, wish, subject="live", name=room, after={"sku": sku})

        try:
            await asyncio.to_thread(self.service.store.edit, who, note)
        except StoreUnavailable as error:
            _log.error("not in the audit log: %s: %s %s in room %s: %s", who, wish, sku, room, error)

    def pages(self, rooms: HostControls, recognize: RecognizePhoto) -> ASGIApp:
        try:
            return admin_app(self.service, live=rooms, recognize=recognize)
        except OSError as error:
            folder = self.service.folder
            raise SettingsError(f"[catalog]: the folder {folder}: {error.strerror or error}") from error


@asynccontextmanager
async def run_catalog(file: RoomsFile, metrics: LiveMetrics, crops: CropCache) -> AsyncIterator[CatalogRun]:
    """Open the catalog and run its jobs. To be left after the rooms have ended: their last cards are kept too."""
    settings = file.catalog
    if settings is None:
        raise SettingsError("[catalog]: there is none")
    async with AsyncExitStack() as stack:
        service = stack.enter_context(_opened(settings))
        poster = await stack.enter_async_context(Poster(settings.internal_hosts))
        jobs, api_stats, link_stats = CatalogJobs(service), ApiStats(), Counter[str]()
        webhooks = WebhookSender(service.store, poster.post)
        log = CardLog(service.store, takes_updates=lambda: webhooks.has_endpoints, on_written=webhooks.wake)
        answers = ShopAvailability(service.cache, refresh_after_s=every_s(settings.max_age_s) / 2)
        availability = AvailabilityPoller(answers.ask, metrics, max_age_s=settings.max_age_s)
        feedback = StoreFeedback(service, crops, file.feedback, metrics.registry, metrics.background_failure)
        unsubscribe = _tell_of_edits(service, availability)
        metrics.registry.register(
            CatalogCollector(service, jobs, log, api=api_stats, links=link_stats, webhooks=webhooks)
        )

        async def send() -> None:
            await jobs.prepared()
            await webhooks.run()

        works = {**jobs.works, "card_log": log.run, "webhooks": send}
        tasks = [
            asyncio.create_task(keep_running(name, work, metrics), name=f"livecart {name}")
            for name, work in works.items()
        ]
        try:
            # With a database that answers, nobody finds it without tables.
            await jobs.prepared(_PREPARED_WITHIN_S)
            yield CatalogRun(service, availability, log, feedback, jobs, api_stats, link_stats)
        finally:
            unsubscribe()
            answers.close()
            for task in tasks:
                await end_task(task)
            await asyncio.gather(log.close(), feedback.close())
            await webhooks.close()
            await jobs.close()


@contextmanager
def _opened(settings: CatalogSettings) -> Iterator[CatalogService]:
    with ExitStack() as stack:
        try:
            service = stack.enter_context(open_catalog(settings))
        except OSError as error:
            raise SettingsError(f"[catalog]: the folder {settings.folder}: {error.strerror or error}") from error
        yield service


def _tell_of_edits(service: CatalogService, availability: AvailabilityPoller) -> Callable[[], None]:
    """Edits of this process are asked about at once; those of others when what is known grows old."""
    loop = asyncio.get_running_loop()

    def heard(change: Change) -> None:
        # In the thread that wrote. The loop may be closed: the program ends.
        with suppress(RuntimeError):
            if change.link_hosts:
                loop.call_soon_threadsafe(availability.all_changed)
            else:
                loop.call_soon_threadsafe(availability.changed, change.skus)

    return service.store.on_change(heard)
