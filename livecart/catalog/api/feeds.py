"""Routes of feeds: how their readings went, and what the next would do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from livecart.catalog.api.answers.feeds import DryRunAnswer, FeedsAnswer
from livecart.catalog.api.operations import Writing, json_reply, reads, writes
from livecart.catalog.service import CatalogService
from livecart.catalog.sync import runs
from livecart.catalog.sync.http_json import HttpJsonSource
from livecart.catalog.sync.merchant_xml import MerchantXmlSource
from livecart.catalog.sync.syncer import Difference, Syncer
from livecart.errors import NotFound

_RUNS_SHOWN = 10


def add_feeds(router: APIRouter, service: CatalogService) -> None:
    """`/feeds`."""
    feeds = {feed.name: feed for feed in service.settings.feeds}

    @router.get("/feeds", response_model=FeedsAnswer, **reads())
    def list_feeds() -> Response:
        """The feeds of the settings, each with its newest readings."""
        with service.store.read() as session:
            found = [
                {
                    "name": feed.name,
                    "every_s": feed.every_s,
                    "runs": _runs(runs.latest(session, name, limit=_RUNS_SHOWN)),
                }
                for name, feed in feeds.items()
            ]
        return json_reply({"feeds": found})

    @router.post("/feeds/{name}/dry-run", response_model=DryRunAnswer, **writes())
    def dry_run(name: Annotated[str, Path(max_length=64, examples=["shop"])], _: Writing) -> Response:
        """Read a feed now, and say what it would change. Changes nothing; takes as long as the feed takes."""
        feed = feeds.get(name)
        if feed is None:
            raise NotFound(f"no feed is named {name!r}; the settings have {', '.join(feeds) or 'none'}")
        source = feed.source()
        try:
            synced = Syncer(service.store, source, guard=feed.guard).sync_once(dry_run=True)
        finally:
            if isinstance(source, HttpJsonSource | MerchantXmlSource):
                source.close()
        difference = synced.difference or Difference()
        detail = None if synced.run is None else synced.run.detail
        refused = difference.refused or (detail if synced.outcome == "failed" else None)
        return json_reply(
            {
                "outcome": synced.outcome,
                "created": difference.created,
                "changed": difference.changed,
                "removed": difference.removed,
                "bad": difference.bad,
                "created_skus": difference.created_skus,
                "changes": [
                    {"sku": sku, "before": before, "after": after} for sku, before, after in difference.changes
                ],
                "removed_skus": difference.removed_skus,
                "refused": refused,
            }
        )


def _runs(found: list[runs.Run]) -> list[dict[str, object]]:
    """Without the place to go on from, which may hold a feed's own address."""
    names = [name for name in runs.Run.__slots__ if name != "cursor"]
    return [{name: getattr(run, name) for name in names} for run in found]
