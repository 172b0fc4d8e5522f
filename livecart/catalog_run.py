"""The catalog beside the rooms of `livecart run`: what cards ask it, what it keeps of them, its jobs, its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.types import ASGIApp

from livecart.card_log import CardLog
from livecart.catalog.admin import LiveRooms, See, admin_app
from livecart.catalog.api import ApiStats, catalog_router
from livecart.catalog.database.session import Change, revision
from livecart.catalog.files import files_router
from livecart.catalog.service import CatalogService, open_catalog
from livecart.catalog.service_settings import CatalogSettings
from livecart.catalog_jobs import CatalogJobs
from livecart.catalog_metrics import CatalogCollector
from livecart.catalog_offers import THREADS, CatalogOffers
from livecart.errors import SettingsError
from livecart.feedback import StoreFeedback, store_feedback
from livecart.fresh_looks import Edition
from livecart.pipeline.crops import CropSource
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.offer_book import OfferBook
from livecart.pipeline.supervise import end_task, keep_running
from livecart.rooms_file import RoomsFile

#: How long a start waits for the database; rooms run without it too, and show no card.
_PREPARED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class CatalogRun:
    """The catalog of a process that runs rooms."""

    service: CatalogService
    #: For `open_engine`: a card needs its word.
    offers: OfferBook
    #: To be told of every event that went out.
    log: CardLog
    #: Takes viewers' feedback, and crops of unsure decisions.
    feedback: StoreFeedback
    jobs: CatalogJobs
    api_stats: ApiStats

    def routers(self) -> list[APIRouter]:
        """What the catalog answers over HTTP; each route says itself who may ask."""
        return [files_router(self.service), catalog_router(self.service, stats=self.api_stats)]

    def published(self) -> Edition | None:
        """The snapshot published last, by whichever process; None: none.

        Raises:
            PublishError: the folder does not say.
        """
        published = self.service.snapshots.current()
        return None if published is None else Edition(published.version, published.revision)

    def revision(self) -> int:
        """The catalog's, as it is now; blocks.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with self.service.store.read() as session:
            return revision(session)

    def pages(self, rooms: LiveRooms, see: See) -> ASGIApp:
        """The staff's pages.

        Raises:
            SettingsError: what signs their sessions cannot be kept in the folder.
        """
        try:
            return admin_app(self.service, live=rooms, see=see)
        except OSError as error:
            folder = self.service.folder
            raise SettingsError(f"[catalog]: the folder {folder}: {error.strerror or error}") from error


@asynccontextmanager
async def run_catalog(file: RoomsFile, metrics: LiveMetrics, crops: CropSource) -> AsyncIterator[CatalogRun]:
    """Open the catalog and run its jobs. To be left after the rooms have ended: their last cards are kept too.

    Args:
        file: its sections [catalog], which must be there, and [feedback].
        metrics: told of everything.
        crops: of the cards shown, for reports about them.

    Raises:
        SettingsError: a setting cannot be used.
    """
    settings = file.catalog
    if settings is None:
        raise SettingsError("[catalog]: there is none")
    with _opened(settings) as service:
        jobs, api_stats = CatalogJobs(service), ApiStats()
        log = CardLog(service.store)
        answers = CatalogOffers(service)
        offers = OfferBook(answers.ask, metrics, max_age_s=settings.max_age_s, at_once=THREADS)
        feedback = store_feedback(
            service, crops, settings=file.feedback, registry=metrics.registry, on_failure=metrics.background_failure
        )
        unsubscribe = _tell_of_edits(service, offers)
        metrics.registry.register(CatalogCollector(service, jobs, log, api_stats))
        works = {**jobs.works, "card_log": log.run}
        tasks = [
            asyncio.create_task(keep_running(name, work, metrics), name=f"livecart {name}")
            for name, work in works.items()
        ]
        try:
            # With a database that answers, nobody finds it without tables.
            await jobs.prepared(_PREPARED_WITHIN_S)
            yield CatalogRun(service, offers, log, feedback, jobs, api_stats)
        finally:
            unsubscribe()
            answers.close()
            for task in tasks:
                await end_task(task)
            await asyncio.gather(log.close(), feedback.close())
            await jobs.close()


@contextmanager
def _opened(settings: CatalogSettings) -> Iterator[CatalogService]:
    with ExitStack() as stack:
        try:
            service = stack.enter_context(open_catalog(settings))
        except OSError as error:
            raise SettingsError(f"[catalog]: the folder {settings.folder}: {error.strerror or error}") from error
        yield service


def _tell_of_edits(service: CatalogService, offers: OfferBook) -> Callable[[], None]:
    """Edits of this process are asked about at once; those of others when what is known grows old."""
    loop = asyncio.get_running_loop()

    def heard(change: Change) -> None:
        # In the thread that wrote. The loop may be closed: the program ends.
        with suppress(RuntimeError):
            if change.link_hosts:
                loop.call_soon_threadsafe(offers.all_changed)
            else:
                loop.call_soon_threadsafe(offers.changed, change.skus)

    return service.store.on_change(heard)
