"""The catalog as one thing: store, files, cache and publisher, opened from the section [catalog] of rooms.toml.

    with open_catalog(CatalogSettings(url="sqlite:///catalog.db", folder="catalog")) as service:
        service.store.upgrade()
        with service.store.write("alice") as session:
            products.create(session, ...)
        service.cache.confirm("1001")

All of it blocks while the database, Redis or the disk answer: from an event loop call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from livecart.catalog.database.store import Store, open_store
from livecart.catalog.publish.build_command import DEFAULT_COMMAND, BuildCommand, Builder
from livecart.catalog.publish.publisher import Publisher
from livecart.catalog.publish.resident import RESIDENT_COMMAND, ResidentBuilder
from livecart.catalog.publish.snapshot_folder import SnapshotFolder
from livecart.catalog.records.blobs import BlobFolder
from livecart.catalog.service_settings import CatalogSettings
from livecart.catalog.stock.cache import StockCache
from livecart.catalog.stock.open import open_cache
from livecart.errors import SettingsError

__all__ = ["CatalogService", "CatalogSettings", "open_catalog"]


@dataclass(frozen=True, slots=True)
class CatalogService:
    """What others build on. Every call into its parts may block; each may be used by any number of threads.

    Attributes:
        settings: what it was opened with.
        store: the database; `store.upgrade()` makes or updates its tables, which opening does not do.
        photos: files of products' photos, by digest.
        crops: files of the review queue, by digest.
        cache: whether a product may be shown now: `cache.confirm(sku)`.
        snapshots: what is published, also by other processes: `snapshots.current()`, `snapshots.path(published)`.
        publisher: not started; None where `settings.publish` is off: another process publishes.
        folder: holds `photos/`, `crops/` and `published/`.
    """

    settings: CatalogSettings
    store: Store
    photos: BlobFolder
    crops: BlobFolder
    cache: StockCache
    snapshots: SnapshotFolder
    publisher: Publisher | None
    folder: Path


@contextmanager
def open_catalog(settings: CatalogSettings) -> Iterator[CatalogService]:
    """Open the catalog; connects at the first use, starts nothing. On leaving, what was started is stopped and closed.

    Raises:
        SettingsError: there is no url, or a setting cannot be used.
        OSError: the folder cannot be made.
    """
    if settings.url is None:
        raise SettingsError("[catalog]: url is missing; give sqlite:///file.db or mysql+pymysql://…")
    folder = Path(settings.folder)
    with ExitStack() as stack:
        store = open_store(settings.url)
        stack.callback(store.close)
        cache = open_cache(settings.cache, store, max_age_s=settings.max_age_s)
        stack.callback(cache.close)
        photos = BlobFolder(_made(folder / "photos"))
        crops = BlobFolder(_made(folder / "crops"))
        snapshots = SnapshotFolder(_made(folder / "published"))
        publisher = None
        if settings.publish:
            publisher = Publisher(store, photos, snapshots, builder_of(settings))
            stack.callback(publisher.stop)
        yield CatalogService(settings, store, photos, crops, cache, snapshots, publisher, folder)


def builder_of(settings: CatalogSettings) -> Builder:
    """What makes snapshots; nothing is started yet."""
    if settings.build_command is not None:
        return BuildCommand(settings.build_command, limit_s=settings.build_limit_s)
    named = {"--archive": settings.archive, "--model-config": settings.model_config}
    # Absolute, so that where the program works does not matter.
    more = [part for option, path in named.items() if path is not None for part in (option, str(Path(path).absolute()))]
    plain = BuildCommand((*DEFAULT_COMMAND, *more), limit_s=settings.build_limit_s)
    return ResidentBuilder(plain, (*RESIDENT_COMMAND, *more), limit_s=settings.build_limit_s)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
