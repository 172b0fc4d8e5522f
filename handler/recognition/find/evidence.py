"""Gathers the evidence for each candidate of a region, and turns it into detections."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxyPx
from contract.reply import Evidence
from recognition.catalog.loaded import LoadedCatalog
from recognition.find.fusion import EvidenceRows, Weights, discounted
from recognition.find.scene import FrameDetection, Likeness, PhotoPlace, Region, Scene, TextMass
from recognition.keypoints.colours import NOT_COMPARED, ColourMatch
from recognition.text.index import query_of
from recognition.text.lexicon import Lexicon, Piece, load_lexicon, normalize
from recognition.text.ocr import ReadLine

#: Products that text brings in, beside those that look alike.
_BY_TEXT = 12
#: A line names a product that shares so much of what the line that names it best does.
_NAMING_SHARE = 0.5
#: Agreeing points from which a photo's outline is a better box than the region's.
_POINTS_FOR_BOX = 8
#: A text's mass of this much counts as fully sure in the reply's evidence.
_FULL_TEXT_MASS = 12.0
_FULL_POINTS = 25.0
#: Lines that may contradict a product are read with this confidence at least.
_SURELY_READ = 0.8
_UNLIKE = Likeness(0.0, 0.0, (0.0, 0.0, 0.0, 0.0))


def label_evidence(catalog: LoadedCatalog, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability (P,) of the likeliest class that each product names."""
    best = np.zeros(catalog.snapshot.products, dtype=np.float32)
    np.maximum.at(best, catalog.label_products, probabilities[catalog.label_classes])
    return best


def text_evidence(
    catalog: LoadedCatalog, query: Mapping[Piece, float], allowed: NDArray[np.bool_]
) -> dict[int, TextMass]:
    """Compares text with all names and photos; returns the products that share most of it."""
    by_name, _ = catalog.names.score(query)
    by_photo, _ = catalog.packaging.score(query)
    by_packaging = np.zeros(len(by_name), dtype=np.float32)
    owner = catalog.snapshot.photo_product
    np.maximum.at(by_packaging, owner, by_photo)
    total = (by_name + by_packaging) * allowed
    count = min(2 * _BY_TEXT, len(total))
    best = np.argpartition(-total, count - 1)[:count] if count else np.zeros(0, dtype=np.intp)
    masses = {}
    for product in best[total[best] > 0]:
        masses[int(product)] = TextMass(
            read_packaging=float(by_packaging[product]),
            read_name=float(by_name[product]),
            name_mass=float(catalog.names.mass[product]),
        )
    return masses


def take_text(catalog: LoadedCatalog, region: Region, allowed: NDArray[np.bool_], lexicon: Lexicon) -> None:
    """Compare the lines of a region with all names and photos."""
    read = query_of(((line.text, line.confidence) for line in region.lines), lexicon)
    region.text = text_evidence(catalog, read, allowed)
    region.text_box = text_boxes(catalog, region.lines, lexicon, region.text)


def concepts_read(region: Region) -> list[tuple[str, BoxXyxyPx]]:
    """Concepts of the lexicon that sure lines of a region name, letter by letter, each with its line's box.

    Apple on a carton of mandarin juice contradicts it, though the print around it agrees. Words that the lexicon does
    not have contradict nothing: of a product's own, a photo and its OCR miss too many.
    """
    lexicon = load_lexicon()
    return [
        (concept, line.box)
        for line in region.lines
        if line.confidence >= _SURELY_READ
        for concept, similarity, _ in lexicon.concepts(normalize(line.text))
        if similarity == 1.0
    ]


def _foreign(catalog: LoadedCatalog, region: Region, product: int, read: Sequence[tuple[str, BoxXyxyPx]]) -> int:
    """Number of concepts at the product's place that are not its own; those of its neighbour do not count."""
    if not read:
        return 0
    own = Region(_place(region, product)[0])
    return len({concept for concept, box in read if own.holds(box, margin=0.0)} - catalog.concepts_of(product))


def text_boxes(
    catalog: LoadedCatalog, lines: Sequence[ReadLine], lexicon: Lexicon, products: Iterable[int]
) -> dict[int, BoxXyxyPx]:
    """Around the lines that name each of the ``products`` that have no photos."""
    named = [product for product in products if not catalog.has_photos[product]]
    if not named:
        return {}
    queries = [query_of([(line.text, line.confidence)], lexicon) for line in lines]
    shared = np.stack([catalog.names.score(query)[0][named] for query in queries])
    boxes = np.array([line.box for line in lines])
    naming = (shared > 0) & (shared >= _NAMING_SHARE * shared.max(axis=0))
    found = {}
    for place, product in enumerate(named):
        own = boxes[naming[:, place]]
        (left, top), (right, bottom) = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
        found[product] = (float(left), float(top), float(right), float(bottom))
    return found


def detections(
    catalog: LoadedCatalog,
    scene: Scene,
    labels: NDArray[np.float32],
    weights: Weights,
) -> list[FrameDetection]:
    """Candidates of all regions, each product once, where it is likeliest; best first."""
    best: dict[int, tuple[tuple[float, int], FrameDetection]] = {}
    for region in scene.regions:
        for detection in _of_region(catalog, scene, region, labels, weights):
            found = region.matches.get(detection.product)
            # Where two regions are as good as sure, more points tell which holds the whole of the product.
            rank = (round(detection.confidence, 3), 0 if found is None else found.points)
            known = best.get(detection.product)
            if known is None or known[0] < rank:
                best[detection.product] = (rank, detection)
    return sorted((detection for _, detection in best.values()), key=lambda detection: -detection.confidence)


def gather(
    catalog: LoadedCatalog, scene: Scene, region: Region, labels: NDArray[np.float32]
) -> tuple[list[int], EvidenceRows]:
    """Candidates of a region and their evidence."""
    by_label = np.flatnonzero((labels > 0.05) & scene.allowed)
    products = list(dict.fromkeys([*region.matches, *region.photo, *region.text, *(int(p) for p in by_label)]))
    likenesses = [region.photo.get(product, _UNLIKE) for product in products]
    nothing = TextMass(0.0, 0.0, 0.0)
    texts = [region.text.get(product, nothing) for product in products]
    concepts = concepts_read(region)

    def column(values: Sequence[float]) -> NDArray[np.float32]:
        return np.array(values, dtype=np.float32)

    return products, EvidenceRows(
        photo=column([likeness.similarity for likeness in likenesses]),
        salience=column([likeness.salience for likeness in likenesses]),
        points=column([region.matches[product].points if product in region.matches else 0 for product in products]),
        colours=column([_colours(region, product).likeness for product in products]),
        pattern=column([_colours(region, product).pattern for product in products]),
        read_packaging=column([text.read_packaging for text in texts]),
        read_name=column([text.read_name for text in texts]),
        name_mass=column([text.name_mass for text in texts]),
        foreign=column([_foreign(catalog, region, product, concepts) for product in products]),
        label=column([labels[product] for product in products]),
        has_photos=catalog.has_photos[products] if products else np.zeros(0, dtype=np.bool_),
    )


def _colours(region: Region, product: int) -> ColourMatch:
    found = region.matches.get(product)
    return NOT_COMPARED if found is None else found.colours


def _of_region(
    catalog: LoadedCatalog,
    scene: Scene,
    region: Region,
    labels: NDArray[np.float32],
    weights: Weights,
) -> list[FrameDetection]:
    products, evidence = gather(catalog, scene, region, labels)
    if not products:
        return []
    sure = discounted(products, evidence, catalog.negatives, weights)
    return [
        FrameDetection(
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
    found = region.matches.get(product)
    if found is not None and found.points >= _POINTS_FOR_BOX:
        return found.box, found.placed
    if product in region.photo:
        return region.photo[product].box, None
    return region.text_box.get(product, region.box), None


def _shown(evidence: EvidenceRows, row: int, text_was_read: bool) -> Evidence:
    photo = max(float(evidence.photo[row]), min(1.0, float(evidence.points[row]) / _FULL_POINTS))
    mass = float(evidence.read_packaging[row] + evidence.read_name[row])
    return Evidence(
        photo=round(min(photo, 1.0), 4) if evidence.has_photos[row] else None,
        text=round(min(1.0, mass / _FULL_TEXT_MASS), 4) if text_was_read else None,
        label=round(float(evidence.label[row]), 4),
    )
