"""From what was seen to what may be shown: thresholds, stock, and boxes in pixels of the image as it was sent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recognition.catalog import LoadedCatalog
from recognition.reply import BoxXyxyPx, Product
from recognition.scene import Sighting

_DIGITS = 4


def products_shown(
    catalog: LoadedCatalog,
    sightings: Sequence[Sighting],
    by_label: Sequence[Product],
    *,
    threshold: float | None,
    default_threshold: float,
    scale: tuple[float, float],
) -> list[Product]:
    """Products at or above their threshold, best first, none that is sold out.

    The request's ``threshold`` counts before the product's own, and that before the default. ``by_label`` are products
    without photos that the classifier's labels alone speak for; ``scale`` turns pixels of the frame that was looked at
    into pixels of the image.
    """
    shown = []
    for sighting in sightings:
        own = float(catalog.snapshot.thresholds[sighting.product])
        usual = default_threshold if math.isnan(own) else own
        needed = usual if threshold is None else threshold
        if sighting.confidence >= needed and catalog.snapshot.stock_state[sighting.product]:
            shown.append(_product(catalog, sighting, scale, usual))
    seen = {product.sku for product in shown}
    shown += [product for product in by_label if product.sku not in seen and product.sku not in catalog.sold_out]
    return sorted(shown, key=lambda product: -product.confidence)


def scaled_box(box: BoxXyxyPx, scale: tuple[float, float]) -> BoxXyxyPx:
    """``box`` with its x and y multiplied, to a tenth of a pixel."""
    return (
        round(box[0] * scale[0], 1),
        round(box[1] * scale[1], 1),
        round(box[2] * scale[0], 1),
        round(box[3] * scale[1], 1),
    )


def _product(catalog: LoadedCatalog, sighting: Sighting, scale: tuple[float, float], threshold: float) -> Product:
    known = catalog.snapshot.product(sighting.product)
    return Product(
        sku=known.sku,
        name=known.name,
        url=known.url,
        confidence=round(sighting.confidence, _DIGITS),
        box=scaled_box(sighting.box, scale),
        evidence=sighting.evidence,
        threshold=round(threshold, _DIGITS),
        price=known.price,
        currency=known.currency,
    )
