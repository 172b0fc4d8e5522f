"""Photos of what was taken for a product and is not it: where a frame looks more like one of them, it is doubted.

A product with negatives gets a shadow: a row behind all products that holds the negatives as its photos. It is looked
for as products are, and never shown. What a shadow gains speaks against its own product alone, and for no other: that
a thing is not this product says nothing of what it is. Only where a negative is another product's own photo does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recognition.calibration import Weights
from recognition.catalog_folder import Catalog, CatalogProduct
from recognition.fuse import FEATURES, confidences

T = TypeVar("T")
#: By what a product's photos must lead its negatives in print and colours to be believed, and how sharply. On drawn
#: packages the product itself led by 0.3 to 1.2 in 17 of 20 frames, its twin in other colours by -1.4 to -0.1.
_EVEN, _SHARPNESS = -0.4, 12.0
_COLOURS_COUNT = 0.7
#: A negative was cut out of a stream, photos were taken in a shop: whatever is shown in a stream looks more like the
#: former, the product itself by 1 to 3.8, and what the negative shows, in the same show again, by 4 to 6.
_STREAM_LIKENESS = 4.0
_PHOTO, _POINTS, _COLOURS = (FEATURES.index(name) for name in ("photo_squared", "print_points", "print_colours"))


def with_shadows(catalog: Catalog) -> Catalog:
    """The catalog with a shadow for each product that has negatives, behind all products.

    To an archive that knows no shadows they are products that are sold out: known, and never shown.
    """
    shadows = tuple(_shadow_of(product) for product in catalog.products if product.negatives)
    return replace(catalog, products=catalog.products + shadows) if shadows else catalog


def without_empty_shadows(catalog: Catalog, photos: Mapping[tuple[int, T], object]) -> tuple[Catalog, dict[int, int]]:
    """Leaves out shadows none of whose ``photos``, by row and digest, could be read; and where each row went."""
    seen = {row for row, _ in photos}
    kept = [row for row, product in enumerate(catalog.products) if product.negative_of is None or row in seen]
    moved = {row: place for place, row in enumerate(kept)}
    return replace(catalog, products=tuple(catalog.products[row] for row in kept)), moved


def shadows_of(product_at: Callable[[int], CatalogProduct], count: int) -> dict[int, int]:
    """Rows of products that have a shadow, each with its shadow's row, of a snapshot's ``count`` rows."""
    shadow_of: dict[str, int] = {}
    row = count - 1
    while row >= 0 and (owner := product_at(row).negative_of) is not None:
        shadow_of[owner] = row
        row -= 1
    if not shadow_of:
        return {}
    skus = {product_at(row).sku: row for row in range(row + 1)}
    return {skus[owner]: shadow for owner, shadow in shadow_of.items() if owner in skus}


def twins_of(
    shadows: Mapping[int, int], photo_product: NDArray[np.int32], photo_digest: NDArray[np.uint8]
) -> dict[int, frozenset[int]]:
    """Of products with a shadow, those of whose own photos (N,), by digest (N, 32), one is among its negatives."""
    if not shadows:
        return {}
    digests = np.ascontiguousarray(photo_digest).view("V32").ravel()
    hidden = np.isin(photo_product, list(shadows.values()))
    twins = {}
    for product, shadow in shadows.items():
        owners = photo_product[np.isin(digests, digests[photo_product == shadow]) & ~hidden]
        twins[product] = frozenset(owners.tolist()) - {product}
    return twins


@dataclass(frozen=True)
class Doubts:
    """Of a catalog: ``shadows`` as of ``shadows_of``, ``twins`` as of ``twins_of``."""

    shadows: Mapping[int, int]
    twins: Mapping[int, frozenset[int]]


def doubted(products: Sequence[int], rows: NDArray[np.float32], doubts: Doubts, weights: Weights) -> dict[int, float]:
    """Confidences of the candidates ``products`` (C,), shadows left out, with features ``rows`` (C, F).

    What a product with negatives loses is lost to all but its twins, which are judged as if it were not there. Where
    there are none, the confidences are those of ``fuse.confidences``.
    """
    hidden = set(doubts.shadows.values())
    real = [place for place, product in enumerate(products) if product not in hidden]
    sure = confidences(rows[real], weights)
    found = {products[place]: float(confidence) for place, confidence in zip(real, sure, strict=True)}
    place_of = {product: place for place, product in enumerate(products)}
    beliefs = {
        product: _belief(rows[place_of[product]], rows[place_of[shadow]])
        for product, shadow in doubts.shadows.items()
        if product in found and shadow in place_of
    }
    for product in list(found):
        rivals = {rival: belief for rival, belief in beliefs.items() if product in doubts.twins[rival] and belief < 0.5}
        if rivals:
            others = [place for place in real if products[place] not in rivals]
            alone = float(confidences(rows[others], weights)[others.index(place_of[product])])
            share = max(rivals.values())
            found[product] = share * found[product] + (1.0 - share) * alone
    return {product: confidence * beliefs.get(product, 1.0) for product, confidence in found.items()}


def _belief(product: NDArray[np.float32], shadow: NDArray[np.float32]) -> float:
    """How far a product is believed, 0 to 1, by the features of its photos and of its negatives (F,)."""
    lead = product.astype(np.float64) - shadow
    print_lead = lead[_POINTS] + _COLOURS_COUNT * lead[_COLOURS]
    likeness = max(0.0, -float(lead[_PHOTO]) - _STREAM_LIKENESS)
    return float(1.0 / (1.0 + np.exp(-_SHARPNESS * (print_lead - likeness - _EVEN))))


def _shadow_of(product: CatalogProduct) -> CatalogProduct:
    """No words, so that nothing read speaks for it but what is read on its photos."""
    return CatalogProduct(
        sku=f"not {product.sku}",
        name="",
        url=product.url,
        stock=0,
        rooms=product.rooms,
        photos=product.negatives,
        negative_of=product.sku,
    )
