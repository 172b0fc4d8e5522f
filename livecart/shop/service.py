"""The catalog as one thing: store, files, cache and publisher, opened from the section [catalog] of rooms.toml.

    with open_catalog(CatalogSettings(url="sqlite:///catalog.db", folder="catalog")) as service:
        service.store.upgrade()
        with service.store.write("alice") as session:
            products.create(session, ...)
        service.cache.check(["1001"])

All of it blocks while the database, Redis or the disk answer: from an event loop call it in a thread.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from livecart.core.errors import SettingsError
from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.open import open_cache
from livecart.shop.database.store import Store, open_store
from livecart.shop.publish.builder import DEFAULT_COMMAND, RESIDENT_COMMAND, BuildCommand, Builder, ResidentBuilder
from livecart.shop.publish.publisher import Publisher
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.settings import CatalogSettings

__all__ = ["CatalogService", "CatalogSettings", "open_catalog"]


@dataclass(frozen=True, slots=True)
class CatalogService:
    """The open parts of the catalog. Every call into its parts may block; each may be used by any number of threads.

    Attributes:
        settings: what it was opened with.
        store: the database; `store.upgrade()` makes or updates its tables, which opening does not do.
        photos: files of products' photos, by digest.
        crops: files of the review queue, by digest.
        cache: whether a product may be shown now: `cache.check(skus)`.
        snapshots: what is published, also by other processes: `snapshots.current()`, `snapshots.path(published)`.
        publisher: not started; None where `settings.publish` is off: another process publishes.
        folder: holds `photos/`, `crops/` and `published/`.
    """

    settings: CatalogSettings
    store: Store
    photos: BlobFolder
    crops: BlobFolder
    cache: AvailabilityCache
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
        photos = BlobFolder(folder / "photos")
        crops = BlobFolder(folder / "crops")
        # Pictures of streams, which other users of the machine have no business with. Another owner's stay as they are.
        with suppress(PermissionError):
            crops.folder.chmod(0o700)
        snapshots = SnapshotFolder(folder / "published")
        publisher = None
        if settings.publish:
            publisher = Publisher(store, photos, snapshots, builder_of(settings))
            stack.callback(publisher.stop)
        yield CatalogService(settings, store, photos, crops, cache, snapshots, publisher, folder)


def builder_of(settings: CatalogSettings) -> Builder:
    """The builder of snapshots; nothing is started yet."""
    if settings.build_command is not None:
        return BuildCommand(settings.build_command, limit_s=settings.build_limit_s)
    named = {"--archive": settings.archive, "--model-config": settings.model_config}
    # Absolute, so that where the program works does not matter.
    more = [part for option, path in named.items() if path is not None for part in (option, str(Path(path).absolute()))]
    plain = BuildCommand((*DEFAULT_COMMAND, *more), limit_s=settings.build_limit_s)
    return ResidentBuilder(plain, (*RESIDENT_COMMAND, *more), limit_s=settings.build_limit_s)
