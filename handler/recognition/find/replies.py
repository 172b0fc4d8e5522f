"""From detections to replies: thresholds, stock, and boxes in pixels of the image as it was sent."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.boxes import BoxXyxyPx
from contract.offers import NO_OFFERS, Offers, ProductOffer
from contract.reply import Detection, ImageInfo, ModelInfo, Reply, TextLine, TimingMs
from recognition.catalog.loaded import LoadedCatalog
from recognition.classify.labels import LabelMatcher, LabelSet, detection_of, top_labels
from recognition.errors import InternalError, RecognitionError
from recognition.find.detector import Detector, DetectorResult, FrameQuery, FrameResult
from recognition.find.scene import FrameDetection
from recognition.find.search import StageSeconds
from recognition.request.forms import Request

logger = logging.getLogger(__name__)
FAILED = "the image could not be recognised; the server's log says why"


@dataclass
class BatchResult:
    """``replies[i]`` answers ``requests[i]``."""

    replies: list[Reply | RecognitionError]
    seconds: StageSeconds = field(default_factory=StageSeconds)
    texts_read: int = 0


@dataclass
class Item:
    """One good request on its way through the stages; without ``pixels`` where its classes are not asked for."""

    request: Request
    image: ImageInfo
    pixels: NDArray[np.uint8] | None
    frame: Image.Image | None
    decode_s: float


@dataclass(frozen=True)
class Served:
    """The catalog that a batch is matched with, None where the archive has its links alone."""

    catalog: LoadedCatalog | None
    matcher: LabelMatcher
    model: ModelInfo
    offers: Offers = NO_OFFERS

    @property
    def uses_labels(self) -> bool:
        """Some product is known by a label."""
        return self.matcher.knows_products or (self.catalog is not None and len(self.catalog.label_classes) > 0)


def queries_of(
    catalog: LoadedCatalog, items: Sequence[Item], probabilities: NDArray[np.float32], *, default_threshold: float
) -> list[FrameQuery]:
    """A query for each item, with its row of class ``probabilities`` (N, C)."""
    usual = _usual_thresholds(catalog, default_threshold)
    return [
        FrameQuery(
            frame=item.frame,
            allowed=catalog.snapshot.room_mask(item.request.options.room),
            text=item.request.options.text,
            label_probabilities=row,
            shown_from=_shown_from(item.request.options.threshold, usual),
            roi=_roi_in(item, item.frame),
            mirror=item.request.options.mirror,
        )
        for item, row in zip(items, probabilities, strict=True)
        if item.frame is not None
    ]


def _usual_thresholds(catalog: LoadedCatalog, default_threshold: float) -> NDArray[np.float64]:
    """Each product's own (P,), or the default."""
    own = catalog.snapshot.thresholds.astype(np.float64)
    return np.where(np.isnan(own), default_threshold, own)


def _shown_from(threshold: float | None, usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The request's ``threshold`` counts before the products' own."""
    return usual if threshold is None else np.full_like(usual, threshold)


def detect_all(detector: Detector, catalog: LoadedCatalog, queries: Sequence[FrameQuery]) -> DetectorResult:
    """Search all frames together; where that fails, each alone, so that one costs its neighbours nothing."""
    try:
        return detector.find(catalog, queries)
    except Exception:
        logger.exception("products could not be looked for in a batch of %d", len(queries))
    result = DetectorResult()
    for query in queries:
        result.frames.append(_detect_alone(detector, catalog, query, result.seconds))
    return result


def replies_of(
    served: Served,
    items: Sequence[Item],
    probabilities: NDArray[np.float32],
    found: DetectorResult | None,
    seconds: StageSeconds,
    *,
    labels: LabelSet,
    default_threshold: float,
) -> Iterator[Reply | RecognitionError]:
    """A reply for each item; ``found`` is None without a catalog."""
    timing = TimingMs(
        decode=0.0,
        network=_ms(seconds.network),
        keypoints=_ms(seconds.keypoints),
        text=_ms(seconds.text),
        match=_ms(seconds.match),
    )
    for index, (item, row) in enumerate(zip(items, probabilities, strict=True)):
        seen = None if found is None else found.frames[index]
        if found is not None and seen is None:
            yield InternalError(FAILED)
            continue
        products, lines = _products_and_lines(served, item, row, seen, default_threshold)
        yield Reply(
            model=served.model,
            image=item.image,
            labels=top_labels(row, labels, item.request.options.top_k),
            products=products,
            texts=lines,
            mirrored=None if seen is None else seen.mirrored,
            timing_ms=msgspec.structs.replace(timing, decode=_ms(item.decode_s)),
            batch=len(items),
        )


def _products_and_lines(
    served: Served, item: Item, probabilities: NDArray[np.float32], found: FrameResult | None, default_threshold: float
) -> tuple[list[Detection], list[TextLine]]:
    options = item.request.options
    by_label = served.matcher.match(probabilities, threshold=options.threshold, room=options.room)
    if found is None or served.catalog is None or item.frame is None:
        return by_label, []
    scale = (item.image.width / item.frame.width, item.image.height / item.frame.height)
    products = products_shown(
        served.catalog,
        served.offers.products,
        found.detections,
        by_label,
        threshold=options.threshold,
        default_threshold=default_threshold,
        scale=scale,
    )
    lines = [TextLine(line.text, round(line.confidence, 3), scaled_box(line.box, scale)) for line in found.lines]
    return products, lines


def _roi_in(item: Item, frame: Image.Image) -> BoxXyxyPx | None:
    """The request's roi in pixels of the frame, which may be smaller than the image."""
    roi = item.request.options.roi
    scale = (frame.width / item.image.width, frame.height / item.image.height)
    return None if roi is None else scaled_box(roi, scale)


def _detect_alone(
    detector: Detector, catalog: LoadedCatalog, query: FrameQuery, seconds: StageSeconds
) -> FrameResult | None:
    try:
        alone = detector.find(catalog, [query])
    except Exception:
        logger.exception("products could not be looked for in a frame of %dx%d", *query.frame.size)
        return None
    seconds.add(alone.seconds)
    return alone.frames[0]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def products_shown(
    catalog: LoadedCatalog,
    offers: Mapping[str, ProductOffer],
    detections: Sequence[FrameDetection],
    by_label: Sequence[Detection],
    *,
    threshold: float | None,
    default_threshold: float,
    scale: tuple[float, float],
) -> list[Detection]:
    """Products at or above their threshold, best first, none that is sold out.

    Price and stock are those of ``offers``, of products that are not in it those of the snapshot.
    ``threshold`` is the request's. ``by_label`` are products without photos that the classifier's labels alone speak
    for; ``scale`` turns pixels of the frame that was looked at into pixels of the image.
    """
    usual = _usual_thresholds(catalog, default_threshold)
    shown_from = _shown_from(threshold, usual)
    shown = []
    for detection in detections:
        if detection.confidence < shown_from[detection.product]:
            continue
        product = detection_of(
            catalog.snapshot.product(detection.product),
            confidence=detection.confidence,
            threshold=float(usual[detection.product]),
            box=scaled_box(detection.box, scale),
            evidence=detection.evidence,
        )
        if not _is_sold_out(offers, product.sku, in_snapshot=not catalog.snapshot.stock_state[detection.product]):
            shown.append(_as_offered(offers, product))
    seen = {product.sku for product in shown}
    shown += [
        _as_offered(offers, product)
        for product in by_label
        if product.sku not in seen
        and not _is_sold_out(offers, product.sku, in_snapshot=product.sku in catalog.sold_out)
    ]
    return sorted(shown, key=lambda product: -product.confidence)


def _is_sold_out(offers: Mapping[str, ProductOffer], sku: str, *, in_snapshot: bool) -> bool:
    offer = offers.get(sku)
    return in_snapshot if offer is None else offer.is_sold_out


def _as_offered(offers: Mapping[str, ProductOffer], product: Detection) -> Detection:
    offer = offers.get(product.sku)
    if offer is None:
        return product
    return msgspec.structs.replace(
        product, price=offer.price, currency=offer.currency, is_from_price=offer.is_from_price
    )


def scaled_box(box: BoxXyxyPx, scale: tuple[float, float]) -> BoxXyxyPx:
    """``box`` with its x and y multiplied, to a tenth of a pixel."""
    return (
        round(box[0] * scale[0], 1),
        round(box[1] * scale[1], 1),
        round(box[2] * scale[0], 1),
        round(box[3] * scale[1], 1),
    )
