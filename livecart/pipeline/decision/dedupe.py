"""When a product may be announced again."""

from __future__ import annotations

from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.track import TrackedProduct


def may_announce(product: TrackedProduct, now_s: float, settings: DecisionSettings) -> bool:
    """Whether the product is new, or was announced long enough ago. One that was long out of sight is new."""
    if product.announced_at_s is None:
        return True
    return settings.again_every_s is not None and now_s - product.announced_at_s >= settings.again_every_s


def forget_absent(
    products: dict[str, TrackedProduct], now_s: float, settings: DecisionSettings, pinned: str | None
) -> None:
    """Drop what was out of sight for so long that nothing of it matters any more; this also bounds memory.

    Called before a look is taken in, so that a product that comes back in it is a new one. What is known of a pinned
    one is kept.
    """
    for sku, product in list(products.items()):
        keep_s = settings.window_s
        if product.announced_at_s is not None:
            keep_s = max(keep_s, settings.again_after_absence_s)
        idle = product.card is None and sku != pinned and product.missed_looks > 0
        if idle and now_s - product.last_seen_s >= keep_s:
            del products[sku]
