"""From a decoded batch to its replies: products looked for, what may be shown chosen, everything put in its place."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.batch import Item, Served, StageSeconds
from recognition.catalog import LoadedCatalog
from recognition.errors import InternalError, RecognitionError
from recognition.finder import Finder, FinderResult, Found, Look
from recognition.finder_seconds import FinderSeconds
from recognition.label_match import top_labels
from recognition.labels import LabelSet
from recognition.reply import SCHEMA, BoxXyxyPx, Product, Reply, TextLine, TimingMs
from recognition.shown import products_shown, scaled_box

logger = logging.getLogger(__name__)
FAILED = "the image could not be recognised; the server's log says why"


def looks_of(catalog: LoadedCatalog, items: Sequence[Item], probabilities: NDArray[np.float32]) -> list[Look]:
    """What the finder is to look at, for each item with its row of class ``probabilities`` (N, C)."""
    return [
        Look(
            frame=item.frame,
            allowed=catalog.snapshot.room_mask(item.request.options.room),
            text=item.request.options.text,
            label_probabilities=row,
            focus=_focus_in(item, item.frame),
        )
        for item, row in zip(items, probabilities, strict=True)
        if item.frame is not None
    ]


def find_all(finder: Finder, catalog: LoadedCatalog, looks: Sequence[Look]) -> FinderResult:
    """Look at all frames together; where that fails, at each for itself, so that one costs its neighbours nothing."""
    try:
        return finder.find(catalog, looks)
    except Exception:
        logger.exception("products could not be looked for in a batch of %d", len(looks))
    result = FinderResult()
    for look in looks:
        result.found.append(_find_alone(finder, catalog, look, result.seconds))
    return result


def replies_of(
    served: Served,
    items: Sequence[Item],
    probabilities: NDArray[np.float32],
    found: FinderResult | None,
    seconds: StageSeconds,
    *,
    labels: LabelSet,
    default_threshold: float,
) -> Iterator[Reply | RecognitionError]:
    """A reply for each item; ``found`` is None where there was no catalog to look for."""
    timing = TimingMs(
        decode=0.0,
        network=_ms(seconds.network),
        print=_ms(seconds.print),
        text=_ms(seconds.text),
        match=_ms(seconds.match),
    )
    for index, (item, row) in enumerate(zip(items, probabilities, strict=True)):
        seen = None if found is None else found.found[index]
        if found is not None and seen is None:
            yield InternalError(FAILED)
            continue
        products, lines = _products_and_lines(served, item, row, seen, default_threshold)
        yield Reply(
            schema=SCHEMA,
            model=served.model,
            image=item.image,
            labels=top_labels(row, labels, item.request.options.top_k),
            products=products,
            texts=lines,
            timing_ms=msgspec.structs.replace(timing, decode=_ms(item.decode_s)),
            batch=len(items),
        )


def _products_and_lines(
    served: Served, item: Item, probabilities: NDArray[np.float32], found: Found | None, default_threshold: float
) -> tuple[list[Product], list[TextLine]]:
    options = item.request.options
    by_label = served.matcher.match(probabilities, threshold=options.threshold, room=options.room)
    if found is None or served.catalog is None or item.frame is None:
        return by_label, []
    scale = (item.image.width / item.frame.width, item.image.height / item.frame.height)
    products = products_shown(
        served.catalog,
        found.sightings,
        by_label,
        threshold=options.threshold,
        default_threshold=default_threshold,
        scale=scale,
    )
    lines = [TextLine(line.text, round(line.confidence, 3), scaled_box(line.box, scale)) for line in found.lines]
    return products, lines


def _focus_in(item: Item, frame: Image.Image) -> BoxXyxyPx | None:
    """Where the request says to look first, in pixels of the frame, which may be smaller than the image."""
    focus = item.request.options.focus
    scale = (frame.width / item.image.width, frame.height / item.image.height)
    return None if focus is None else scaled_box(focus, scale)


def _find_alone(finder: Finder, catalog: LoadedCatalog, look: Look, seconds: FinderSeconds) -> Found | None:
    try:
        alone = finder.find(catalog, [look])
    except Exception:
        logger.exception("products could not be looked for in a frame of %dx%d", *look.frame.size)
        return None
    seconds.add(alone.seconds)
    return alone.found[0]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
