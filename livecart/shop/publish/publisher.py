"""Publishes the catalog when it has changed.

What products are recognised by needs a new snapshot; the offers (price, currency, whether any is left) are written into
a small file beside it, without a build.

Changes of this process are heard at once, those of others by looking at the revisions. A person's edit is published as
soon as there is a pause; pictures of a feed, thousands one after the other, and what other processes write, wait for a
longer one. A failure changes nothing: what was published stays, and it is tried again, later each time, or when the
catalog changes.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.offers import Offers, ProductOffer
from livecart.shop.database.session import Change, offers_revision, revision
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError
from livecart.shop.import_export.folder import export_folder
from livecart.shop.models.products import ProductRow
from livecart.shop.publish.builder import Builder
from livecart.shop.publish.schedule import Debounce, Schedule
from livecart.shop.publish.snapshot_folder import Published, SnapshotFolder
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.schemas.money import as_written

_log = logging.getLogger(__name__)
#: While somebody keeps editing: no snapshot waits longer for a pause.
_LONGEST_DEBOUNCE_S = 2.0
#: While pictures keep coming in, or another process keeps writing.
_LONGEST_PATIENCE_S = 60.0


@dataclass
class PublisherStats:
    """Counted since the start; all after `failures` are of now."""

    published: int = 0
    offers_published: int = 0
    failures: int = 0
    left_out_products: int = 0
    lost_photos: int = 0
    last_build_s: float = 0.0
    #: None: the last build was good.
    last_error: str | None = None
    #: None: the offers could be written.
    offers_error: str | None = None


class Publisher:
    """One a folder: a second process waits until the first is gone."""

    def __init__(
        self,
        store: Store,
        blobs: BlobFolder,
        folder: SnapshotFolder,
        builder: Builder,
        *,
        debounce_s: float = 0.3,
        patience_s: float = 2.0,
        poll_s: float = 1.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts nothing.

        Args:
            store: the catalog.
            blobs: its photos.
            folder: where to publish.
            builder: makes the snapshots.
            debounce_s: of a person's edits; of price and stock too.
            patience_s: of pictures and of other processes' changes; no less than the last build took.
            poll_s: between two looks for other processes' changes.
            monotonic_s: the clock.
        """
        self.stats = PublisherStats()
        self._store = store
        self._blobs = blobs
        self._folder = folder
        self._builder = builder
        self._poll_s = poll_s
        self._monotonic_s = monotonic_s
        self._patience_s = patience_s
        self._edits = Debounce(debounce_s, _LONGEST_DEBOUNCE_S)
        self._arrivals = Debounce(patience_s, _LONGEST_PATIENCE_S)
        self._offer_edits = Debounce(debounce_s, _LONGEST_DEBOUNCE_S)
        self._changed, self._offers_changed = threading.Event(), threading.Event()
        self._stopping = threading.Event()
        #: At the last look; None: not looked yet.
        self._seen_revision: int | None = None
        self._forced = threading.Event()
        #: Of the offers in the folder; None: not looked at yet.
        self._offers_revision: int | None = None
        self._thread = threading.Thread(target=self._run, name="catalog-publisher", daemon=True)
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Publish what is not published, then each change."""
        self._unsubscribe = self._store.on_change(self._on_change)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop; a build that runs is killed. True where all was at rest in time."""
        self._unsubscribe()
        self._stopping.set()
        self._changed.set()
        self._offers_changed.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._builder.close()
        return not self._thread.is_alive()

    def request(self) -> None:
        """Build even though the catalog has not changed: the archive has other weights."""
        self._forced.set()
        self._edits.heard(self._monotonic_s())
        self._changed.set()

    def publish_once(self) -> Published | None:
        """Build and publish if the catalog has changed; None where it has not. For tests and for the command line."""
        forced = self._forced.is_set()
        before = self._folder.current()
        with self._store.read() as session:
            if not forced and before is not None and revision(session) == before.revision:
                return None
        # Before the catalog is read: what is asked for from here on is for the next build.
        self._forced.clear()
        try:
            return self._build()
        except BaseException:
            if forced:
                self._forced.set()
            raise

    def publish_offers_once(self) -> bool:
        """Write the offers if they have changed since; whether they were written."""
        if self._offers_revision is None or not self._folder.offers.exists():
            self._offers_revision = self._folder.offers_revision()
        with self._store.read(consistent=True) as session:
            now = offers_revision(session)
            offers = None if now == self._offers_revision else Offers(revision=now, products=_offers(session))
        if offers is not None:
            self._folder.publish_offers(offers)
            self._offers_revision = now
            self.stats.offers_published += 1
        self.stats.offers_error = None
        return offers is not None

    def _build(self) -> Published:
        started_s = time.monotonic()
        catalog = self._folder.folder / "catalog"
        with self._store.read(consistent=True) as session:
            made_from = revision(session)
            exported = export_folder(session, self._blobs, catalog)
        if exported.left_out:
            _log.warning(
                "snapshot: %d products left out, their links are not allowed: %s",
                len(exported.left_out),
                ", ".join(exported.left_out[:10]),
            )
        if exported.lost_photos:
            _log.error(
                "snapshot: the files of %d photos are lost, they are left out: %s; restore them, or remove the photos",
                len(exported.lost_photos),
                ", ".join(exported.lost_photos[:10]),
            )
        with self._folder.staged() as path:
            self._builder.run(catalog, path, stop=self._stopping.is_set)
            published = self._folder.publish(
                path,
                revision=made_from,
                products=exported.products,
                built_at_s=self._store.now_s(),
                build_s=time.monotonic() - started_s,
            )
        self.stats.left_out_products = len(exported.left_out)
        self.stats.lost_photos = len(exported.lost_photos)
        self.stats.last_build_s = published.build_s
        self.stats.published += 1
        self.stats.last_error = None
        _log.info("snapshot %d published after %.2f s", published.version, published.build_s)
        return published

    def _on_change(self, change: Change) -> None:
        now_s = self._monotonic_s()
        if change.shows_in_snapshot and change.can_wait:
            # Found at the next look: nobody is woken for each of thousands.
            self._arrivals.heard(now_s)
        elif change.shows_in_snapshot:
            self._edits.heard(now_s)
            self._changed.set()
        if change.shows_in_offers or (change.shows_in_snapshot and not change.can_wait):
            self._offer_edits.heard(now_s)
            self._offers_changed.set()

    def schedule(self) -> Schedule:
        """The schedule of snapshots. For tests too, which step through it with a clock of their own."""
        return Schedule(
            self._publish,
            self._edits,
            self._arrivals,
            look=self._look,
            failed=self._build_failed,
            poll_s=self._poll_s,
            monotonic_s=self._monotonic_s,
        )

    def _look(self) -> None:
        """Hear of what another process wrote: the revision is another one than at the last look."""
        published = self._folder.current()
        with self._store.read() as session:
            now = revision(session)
        is_published = published is not None and published.revision == now
        if not is_published and (now != self._seen_revision or self._arrivals.due_s == math.inf):
            self._arrivals.heard(self._monotonic_s())
        self._seen_revision = now

    def _publish(self) -> None:
        self.publish_once()
        self._arrivals.quiet_s = max(self._patience_s, self.stats.last_build_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._folder.locked() as mine:
                    if mine:
                        self._publish_until_stopped()
            except Exception as error:  # noqa: BLE001  the folder may be there again later
                self._build_failed(error)
            self._stopping.wait(self._poll_s)

    def _publish_until_stopped(self) -> None:
        self._builder.warm_up()
        once = self.publish_offers_once
        prices = Schedule(once, self._offer_edits, look=once, failed=self._offers_failed, poll_s=self._poll_s)
        # A price must not wait for a build.
        offers = threading.Thread(
            target=self._repeat,
            args=(prices, self._offers_changed),
            name="catalog-offers",
            daemon=True,
        )
        offers.start()
        self._repeat(self.schedule(), self._changed)
        offers.join()

    def _repeat(self, schedule: Schedule, changed: threading.Event) -> None:
        while not self._stopping.is_set():
            changed.wait(schedule.step())
            changed.clear()

    def _build_failed(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self.stats.last_error = str(error)
            self._failed("no new snapshot", error)

    def _offers_failed(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self.stats.offers_error = str(error)
            self._failed("price and stock are not published", error)

    def _failed(self, what: str, error: Exception) -> None:
        self.stats.failures += 1
        expected = isinstance(error, CatalogError | OSError)
        _log.error("%s, the old one stays: %s", what, error, exc_info=None if expected else error)


def _offers(session: Session) -> dict[str, ProductOffer]:
    row = ProductRow
    query = select(row.sku, row.price, row.price_digits, row.currency, row.on_sale, row.stock, row.is_from_price)
    return {
        sku: ProductOffer(
            None if price is None else str(as_written(price, digits)), currency, not on_sale or stock == 0, is_from
        )
        for sku, price, digits, currency, on_sale, stock, is_from in session.execute(query)
    }
