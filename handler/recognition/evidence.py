"""Gathers what speaks for each candidate of a region, and turns it into sightings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.calibration import Weights
from recognition.catalog import LoadedCatalog
from recognition.colours import NOT_COMPARED, ColourMatch
from recognition.fuse import EvidenceRows, features
from recognition.negatives import doubted
from recognition.reply import BoxXyxyPx, Evidence
from recognition.scene import PhotoPlace, Region, Scene, Sighting, TextMass
from recognition.text.normalize import Piece

#: Products that text brings in, beside those that look alike.
_BY_TEXT = 12
#: Agreeing points from which a photo's outline is a better box than the region's.
_POINTS_FOR_BOX = 8
#: A text's mass of this much counts as fully sure in the reply's evidence.
_FULL_TEXT_MASS = 12.0
_FULL_POINTS = 25.0


def label_evidence(catalog: LoadedCatalog, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability (P,) of the likeliest class that each product names."""
    best = np.zeros(catalog.snapshot.products, dtype=np.float32)
    np.maximum.at(best, catalog.label_products, probabilities[catalog.label_classes])
    return best


def text_evidence(
    catalog: LoadedCatalog, query: Mapping[Piece, float], allowed: NDArray[np.bool_]
) -> dict[int, TextMass]:
    """What was read, held against all names and photos: the products it speaks for most."""
    by_name, _ = catalog.names.score(query)
    by_photo, _ = catalog.prints.score(query)
    by_print = np.zeros(len(by_name), dtype=np.float32)
    owner = catalog.snapshot.photo_product
    np.maximum.at(by_print, owner, by_photo)
    total = (by_name + by_print) * allowed
    count = min(2 * _BY_TEXT, len(total))
    best = np.argpartition(-total, count - 1)[:count] if count else np.zeros(0, dtype=np.intp)
    masses = {}
    for product in best[total[best] > 0]:
        masses[int(product)] = TextMass(
            read_print=float(by_print[product]),
            read_name=float(by_name[product]),
            name_mass=float(catalog.names.mass[product]),
        )
    return masses


def sightings(
    catalog: LoadedCatalog,
    scene: Scene,
    labels: NDArray[np.float32],
    weights: Weights,
) -> list[Sighting]:
    """Candidates of all regions, each product once, where it is likeliest; best first."""
    best: dict[int, tuple[tuple[float, int], Sighting]] = {}
    for region in scene.regions:
        for sighting in _of_region(catalog, scene, region, labels, weights):
            found = region.prints.get(sighting.product)
            # Where two regions are as good as sure, more points tell which holds the whole of the product.
            rank = (round(sighting.confidence, 3), 0 if found is None else found.points)
            known = best.get(sighting.product)
            if known is None or known[0] < rank:
                best[sighting.product] = (rank, sighting)
    return sorted((sighting for _, sighting in best.values()), key=lambda sighting: -sighting.confidence)


def gather(
    catalog: LoadedCatalog, scene: Scene, region: Region, labels: NDArray[np.float32]
) -> tuple[list[int], EvidenceRows]:
    """Candidates of a region and their evidence."""
    by_label = np.flatnonzero((labels > 0.05) & scene.allowed)
    products = list(dict.fromkeys([*region.prints, *region.photo, *region.text, *(int(p) for p in by_label)]))
    nothing = TextMass(0.0, 0.0, 0.0)
    texts = [region.text.get(product, nothing) for product in products]

    def column(values: Sequence[float]) -> NDArray[np.float32]:
        return np.array(values, dtype=np.float32)

    return products, EvidenceRows(
        photo=column([region.photo.get(product, 0.0) for product in products]),
        points=column([region.prints[product].points if product in region.prints else 0 for product in products]),
        colours=column([_colours(region, product).likeness for product in products]),
        pattern=column([_colours(region, product).pattern for product in products]),
        read_print=column([text.read_print for text in texts]),
        read_name=column([text.read_name for text in texts]),
        name_mass=column([text.name_mass for text in texts]),
        label=column([labels[product] for product in products]),
        has_photos=catalog.has_photos[products] if products else np.zeros(0, dtype=np.bool_),
    )


def _colours(region: Region, product: int) -> ColourMatch:
    found = region.prints.get(product)
    return NOT_COMPARED if found is None else found.colours


def _of_region(
    catalog: LoadedCatalog,
    scene: Scene,
    region: Region,
    labels: NDArray[np.float32],
    weights: Weights,
) -> list[Sighting]:
    products, evidence = gather(catalog, scene, region, labels)
    if not products:
        return []
    sure = doubted(products, features(evidence), catalog.doubts, weights)
    return [
        Sighting(
            product=product,
            confidence=sure[product],
            box=box,
            evidence=_shown(evidence, row, scene.text_was_read),
            placed=placed,
        )
        for row, product in enumerate(products)
        if product in sure
        for box, placed in [_place(region, product)]
    ]


def _place(region: Region, product: int) -> tuple[BoxXyxyPx, PhotoPlace | None]:
    found = region.prints.get(product)
    if found is not None and found.points >= _POINTS_FOR_BOX:
        return found.box, found.placed
    return region.photo_box.get(product, region.box), None


def _shown(evidence: EvidenceRows, row: int, text_was_read: bool) -> Evidence:
    photo = max(float(evidence.photo[row]), min(1.0, float(evidence.points[row]) / _FULL_POINTS))
    mass = float(evidence.read_print[row] + evidence.read_name[row])
    return Evidence(
        photo=round(min(photo, 1.0), 4) if evidence.has_photos[row] else None,
        text=round(min(1.0, mass / _FULL_TEXT_MASS), 4) if text_was_read else None,
        label=round(float(evidence.label[row]), 4),
    )
