"""Preview of a product's photo: what the recogniser finds in it, and the products that it could be taken for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from contract.boxes import BoxXyxyPx
from contract.reply import TextLine
from livecart.core.types import Detection, Detections

#: Of the archive, where a candidate names no threshold of its own (docs/http.md).
_USUAL_THRESHOLD = 0.95
#: From here on another product is worth a word.
_SIMILAR_FROM = 0.5

#: Shows the recogniser an encoded photo (JPEG, PNG or WebP), its print read, and products asked for far below their
#: thresholds, so that the nearest others are in the answer. Boxes are in pixels of the photo as displayed. Raises
#: RecognizerBusy or RecognizerError.
RecognizePhoto: TypeAlias = Callable[[bytes], Awaitable[Detections]]

Verdict = Literal["itself", "confused", "similar", "other"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A product that the photo resembles; `number` of its box in the picture, from 1, None where it has none."""

    detection: Detection
    verdict: Verdict
    threshold: float
    number: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A photo as the recogniser sees it. Boxes in pixels of the photo, `width_px` x `height_px`."""

    width_px: int
    height_px: int
    neighbours: tuple[Neighbour, ...]
    boxes: tuple[tuple[int, BoxXyxyPx], ...]
    texts: tuple[TextLine, ...]

    @property
    def confused(self) -> list[Neighbour]:
        return [neighbour for neighbour in self.neighbours if neighbour.verdict == "confused"]

    @property
    def similar(self) -> list[Neighbour]:
        return [neighbour for neighbour in self.neighbours if neighbour.verdict == "similar"]


def preview_of(detections: Detections, sku: str) -> Preview:
    numbers: dict[BoxXyxyPx, int] = {}
    neighbours = []
    for detection in detections.products:
        box = detection.box_xyxy_px
        number = None if box is None else numbers.setdefault(box, len(numbers) + 1)
        threshold = _USUAL_THRESHOLD if detection.threshold is None else detection.threshold
        neighbours.append(Neighbour(detection, _verdict(detection, sku, threshold), threshold, number))
    boxes = tuple((number, box) for box, number in numbers.items())
    return Preview(detections.frame_width_px, detections.frame_height_px, tuple(neighbours), boxes, detections.texts)


def _verdict(detection: Detection, sku: str, threshold: float) -> Verdict:
    if detection.sku == sku:
        return "itself"
    if detection.confidence >= threshold:
        return "confused"
    return "similar" if detection.confidence >= _SIMILAR_FROM else "other"
