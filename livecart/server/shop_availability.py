"""Availability for cards from the catalog: look-ups that block, in a thread of their own."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from livecart.live.decide.availability import Offer
from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.product import ProductAvailability
from livecart.shop.files import photo_path


class ShopAvailability:
    """Answers `AvailabilityPoller` in its event loop.

    Args:
        cache: asked in the thread.
        refresh_after_s: the answers of other processes are taken while they are younger.
    """

    def __init__(self, cache: AvailabilityCache, *, refresh_after_s: float) -> None:
        self._cache = cache
        self._refresh_after_s = refresh_after_s
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="catalog-availability")

    async def ask(self, skus: Sequence[str]) -> Mapping[str, Offer | str]:
        """For each product what may be shown, or in one word why nothing may; see `Refusal`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, skus)

    def close(self) -> None:
        """Take no further questions; one that hangs is left to its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, skus: Sequence[str]) -> dict[str, Offer | str]:
        found = self._cache.check(skus, refresh_after_s=self._refresh_after_s)
        return {sku: _offer(answer) for sku, answer in found.items()}


def _offer(answer: ProductAvailability) -> Offer | str:
    if answer.refusal is not None:
        return answer.refusal
    return Offer(
        name=answer.name,
        url=answer.url,
        price=None if answer.price is None else str(answer.price),
        currency=answer.currency,
        is_from_price=answer.is_from_price,
        selling=answer.selling,
        image_url=None if answer.photo is None else photo_path(answer.photo),
        confirmed_at_s=answer.read_at_s,
        offers=answer.offers,
    )
