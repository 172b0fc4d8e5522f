"""Photos of what was taken for a product and is not it: where a frame looks more like one of them, it is doubted.

A product with negatives gets a shadow: a row behind all products that holds the negatives as its photos. It is looked
for as products are, and never shown. What a shadow gains speaks against its own product alone, and for no other: that
a thing is not this product says nothing of what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recognition.calibration import Weights
from recognition.catalog_folder import Catalog, CatalogProduct
from recognition.fuse import FEATURES, confidences

T = TypeVar("T")
#: What photos say. A name may stand on the product and on what was taken for it.
_OF_PHOTOS = {"photo_squared", "print_points", "print_present", "print_colours", "print_pattern", "read_less"}


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


def doubted(
    products: Sequence[int], rows: NDArray[np.float32], shadows: Mapping[int, int], weights: Weights
) -> dict[int, float]:
    """Confidences of the candidates ``products`` (C,), shadows left out, with features ``rows`` (C, F).

    The odds that a product's photos are meant and not its shadow's multiply its confidence: what it loses is "none of
    them". A product without negatives has the confidence of ``fuse.confidences``.
    """
    hidden = set(shadows.values())
    real = [place for place, product in enumerate(products) if product not in hidden]
    sure = confidences(rows[real], weights)
    found = {products[place]: float(confidence) for place, confidence in zip(real, sure, strict=True)}
    of_photos = np.array([getattr(weights, name) if name in _OF_PHOTOS else 0.0 for name in FEATURES])
    place_of = {product: place for place, product in enumerate(products)}
    for product, shadow in shadows.items():
        if product in found and shadow in place_of:
            lead = float((rows[place_of[product]] - rows[place_of[shadow]]).astype(np.float64) @ of_photos)
            found[product] /= 1.0 + np.exp(-lead)
    return found


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
