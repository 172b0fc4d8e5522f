"""Watches the catalog; when it has changed in a way that shows, makes a new snapshot and publishes it.

Changes of this process are heard at once, those of others by looking at the revision. A failed build changes nothing:
the old snapshot stays, and the build is tried again, later each time, or at once when the catalog changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from livecart.catalog.database.session import Change, revision
from livecart.catalog.database.store import Store
from livecart.catalog.database.tables_service import SnapshotRow
from livecart.catalog.publish.build_command import Builder
from livecart.catalog.publish.snapshot_folder import Published, SnapshotFolder
from livecart.catalog.records.blobs import BlobFolder
from livecart.catalog.transfer.folder import export_folder
from livecart.errors import CatalogError, StoreUnavailable

_log = logging.getLogger(__name__)
_WHO = "publisher"
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0
#: While somebody keeps changing things: no snapshot waits longer for them to pause.
_LONGEST_DEBOUNCE_S = 2.0


@dataclass
class PublisherStats:
    """Counted since the start; the last two are of now."""

    published: int = 0
    failures: int = 0
    left_out_products: int = 0
    last_build_s: float = 0.0
    #: None: the last build was good.
    last_error: str | None = None


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
        poll_s: float = 1.0,
        on_published: Callable[[Published], None] = lambda _: None,
    ) -> None:
        """Nothing runs before `start`.

        Args:
            store: the catalog.
            blobs: where its photos lie.
            folder: where snapshots go.
            builder: what makes one.
            debounce_s: changes that follow each other faster make one build.
            poll_s: how often changes of other processes are looked for.
            on_published: called in the publisher's thread after each.
        """
        self.stats = PublisherStats()
        self._store = store
        self._blobs = blobs
        self._folder = folder
        self._builder = builder
        self._debounce_s = debounce_s
        self._poll_s = poll_s
        self._on_published = on_published
        self._wake = threading.Event()
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._forced = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalog-publisher", daemon=True)
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Publish what is not published, then each change."""
        self._unsubscribe = self._store.on_change(self._heard)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop; a build that runs is killed. True where all was at rest in time."""
        self._unsubscribe()
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._builder.close()
        return not self._thread.is_alive()

    def request(self) -> None:
        """Build even though the catalog has not changed: the archive has other weights."""
        self._forced.set()
        self._changed.set()
        self._wake.set()

    def current(self) -> Published | None:
        """What is published now; see `SnapshotFolder.current`."""
        return self._folder.current()

    def publish_once(self) -> Published | None:
        """Build and publish if the catalog has changed; None where it has not. For tests and for the command line.

        Raises:
            PublishError: the build failed; what was published stays.
            StoreUnavailable: the database does not answer.
        """
        forced = self._forced.is_set()
        before = self._folder.current()
        with self._store.read() as session:
            if not forced and before is not None and revision(session) == before.revision:
                return None
        # Before the catalog is read: what is asked for from here on is for the next build.
        self._forced.clear()
        try:
            published = self._build()
        except BaseException:
            if forced:
                self._forced.set()
            raise
        self._record(published)
        self._on_published(published)
        return published

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
        self.stats.last_build_s = published.build_s
        self.stats.published += 1
        self.stats.last_error = None
        _log.info("snapshot %d published after %.2f s", published.version, published.build_s)
        return published

    def _record(self, published: Published) -> None:
        """For the admin page; the folder is what counts."""
        try:
            with self._store.write(_WHO) as session:
                session.merge(
                    SnapshotRow(
                        version=published.version,
                        revision=published.revision,
                        digest=published.digest,
                        size_bytes=published.size_bytes,
                        products=published.products,
                        built_at_s=published.built_at_s,
                        build_s=published.build_s,
                    )
                )
        except StoreUnavailable as error:
            _log.warning("snapshot %d is published, but not recorded: %s", published.version, error)

    def _heard(self, change: Change) -> None:
        if change.shows_in_snapshot:
            self._changed.set()
            self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._folder.locked() as mine:
                    if mine:
                        self._builder.warm_up()
                        self._publish_until_stopped()
            except Exception as error:  # noqa: BLE001  the folder may be there again later
                self._failed(error)
            self._stopping.wait(self._poll_s)

    def _publish_until_stopped(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._let_changes_end()
            try:
                self.publish_once()
            except Exception as error:  # noqa: BLE001  whatever it was, the next change must find a publisher
                if self._stopping.is_set():
                    return
                failures += 1
                self._failed(error)
            else:
                failures = 0
            self._wake.wait(min(_FIRST_RETRY_S * 2 ** (failures - 1), _LAST_RETRY_S) if failures else self._poll_s)
            self._wake.clear()

    def _let_changes_end(self) -> None:
        give_up_s = time.monotonic() + _LONGEST_DEBOUNCE_S
        while self._changed.is_set() and not self._stopping.is_set() and time.monotonic() < give_up_s:
            self._changed.clear()
            self._stopping.wait(self._debounce_s)
        self._changed.clear()

    def _failed(self, error: Exception) -> None:
        self.stats.failures += 1
        self.stats.last_error = str(error)
        if isinstance(error, CatalogError | OSError):
            _log.error("no new snapshot, the old one stays: %s", error)
        else:
            _log.error("no new snapshot, the old one stays", exc_info=error)
