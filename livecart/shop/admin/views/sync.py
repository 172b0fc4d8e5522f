"""Feeds, what they and their pictures brought; the snapshot that archives follow."""

from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from contract.uncertain_products import UncertainProducts
from livecart.shop.admin.texts import later, refusal, t
from livecart.shop.admin.views.page import Page, need, read
from livecart.shop.database.session import revision
from livecart.shop.errors import PublishError
from livecart.shop.publish.publisher import PublisherStats
from livecart.shop.publish.snapshot_folder import Published
from livecart.shop.repositories import image_fetches
from livecart.shop.service import CatalogService
from livecart.shop.sync import runs

_RUNS = 30
#: Products with pictures that wait for a person; the next ones stand there when these are done.
_MOST_HELD = 20


@dataclass(frozen=True, slots=True)
class PublishState:
    """Of the snapshot. `stats` is None where another process publishes; `problem` where the folder cannot be read.

    `uncertain`: None where the builder says nothing of them.
    """

    published: Published | None
    is_current: bool
    stats: PublisherStats | None
    problem: str | None
    uncertain: UncertainProducts | None


async def publish_state(service: CatalogService) -> PublishState:
    """The published snapshot; `is_current` where the catalog has not changed since."""
    problem = None
    try:
        published = await to_thread.run_sync(service.snapshots.current)
    except PublishError as error:
        published, problem = None, str(error)
    now = await read(service.store, revision)
    stats = None if service.publisher is None else service.publisher.stats
    uncertain = await to_thread.run_sync(service.snapshots.uncertain_products)
    return PublishState(published, published is not None and published.revision >= now, stats, problem, uncertain)


class SyncPage(Page):
    menu_label = later("sync")
    icon = "fa-solid fa-rotate"
    path = "/sync"
    route_name = "sync"

    def __init__(self, service: CatalogService) -> None:
        super().__init__(service.store)
        self._service = service

    @route("", name="sync")
    async def index(self, request: Request) -> Response:
        feeds = self._service.settings.feeds

        def work(session: Session) -> dict[str, Any]:
            return {
                "runs": runs.latest(session, limit=_RUNS),
                "last": {run.source: run for feed in feeds for run in runs.latest(session, feed.name, limit=1)},
                "images": image_fetches.by_source(session),
                "held": image_fetches.skus_with_held(session, _MOST_HELD),
            }

        found = await read(self.store, work)
        state = await publish_state(self._service)
        return self.show(request, "sync.html", state=state, feeds=feeds, refusal=refusal, **found)

    @route("/publish", methods=["POST"], name="sync-publish")
    async def publish(self, request: Request) -> Response:
        need(request, "edit")
        publisher = self._service.publisher
        if publisher is not None:
            publisher.request()
            flash(request, t("publish_asked"), "success")
        return self.back(request)
