"""What the catalog says of a product, for cards: look-ups that block, in threads of their own."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from livecart.catalog.files import photo_path
from livecart.catalog.records import products
from livecart.catalog.service import CatalogService
from livecart.catalog.stock.entry import Confirmed
from livecart.errors import NotFound, StoreUnavailable
from livecart.pipeline.decision.offers import Offer

#: Questions at once: more only wait for the same database.
THREADS = 8
_PHOTOS_REMEMBERED = 20_000


class CatalogOffers:
    """Answers `pipeline.offer_book.OfferBook`. `ask` belongs to an event loop; the rest runs in its threads."""

    def __init__(self, service: CatalogService) -> None:
        self._service = service
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="catalog-offer")
        self._lock = threading.Lock()
        #: sku to the version of the product, and where its first photo is.
        self._photos: OrderedDict[str, tuple[int, str | None]] = OrderedDict()

    async def ask(self, sku: str) -> Offer | str:
        """What may be shown of a product, or in one word why nothing may; see `stock.entry.Refusal`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, sku)

    def close(self) -> None:
        """Take no further questions; one that hangs is left to its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, sku: str) -> Offer | str:
        found = self._service.cache.check(sku, ahead_s=self._service.settings.max_age_s / 2)
        if not isinstance(found, Confirmed):
            return found
        return Offer(
            name=found.name,
            url=found.url,
            price=None if found.price is None else str(found.price),
            currency=found.currency,
            image_url=self._photo(sku, found.version),
            confirmed_at_s=found.confirmed_at_s,
        )

    def _photo(self, sku: str, version: int) -> str | None:
        with self._lock:
            known = self._photos.get(sku)
        # A photo that comes or goes makes another version of its product.
        if known is not None and known[0] == version:
            return known[1]
        try:
            with self._service.store.read() as session:
                photos = products.get(session, sku).photos
        except (StoreUnavailable, NotFound):
            # Its picture of before is better than none.
            return None if known is None else known[1]
        path = photo_path(photos[0]) if photos else None
        with self._lock:
            self._photos[sku] = (version, path)
            self._photos.move_to_end(sku)
            while len(self._photos) > _PHOTOS_REMEMBERED:
                self._photos.popitem(last=False)
        return path
