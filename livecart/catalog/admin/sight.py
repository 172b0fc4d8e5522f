"""What the recogniser sees in a product's photo, and whether it could be taken for another product's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from livecart.types import BoxXyxyPx, Candidate, Look, TextLine

#: Of the archive, where a candidate names no threshold of its own (docs/http.md).
_USUAL_THRESHOLD = 0.95
#: From here on another product is worth a word.
_SIMILAR_FROM = 0.5

Verdict = Literal["itself", "confused", "similar", "other"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A product that the photo resembles; `number` of its box in the picture, from 1, None where it has none."""

    candidate: Candidate
    verdict: Verdict
    threshold: float
    number: int | None


@dataclass(frozen=True, slots=True)
class Sight:
    """A photo as the recogniser sees it. Boxes in pixels of the photo, `width_px` x `height_px`."""

    width_px: int
    height_px: int
    neighbours: tuple[Neighbour, ...]
    boxes: tuple[tuple[int, BoxXyxyPx], ...]
    texts: tuple[TextLine, ...]

    @property
    def confused(self) -> list[Neighbour]:
        """Products that this photo would be taken for."""
        return [neighbour for neighbour in self.neighbours if neighbour.verdict == "confused"]

    @property
    def similar(self) -> list[Neighbour]:
        """Products near enough to say so."""
        return [neighbour for neighbour in self.neighbours if neighbour.verdict == "similar"]


def sight_of(look: Look, sku: str) -> Sight:
    """What a look at a photo of the product `sku` says."""
    numbers: dict[BoxXyxyPx, int] = {}
    neighbours = []
    for candidate in look.candidates:
        box = candidate.box_xyxy_px
        number = None if box is None else numbers.setdefault(box, len(numbers) + 1)
        threshold = _USUAL_THRESHOLD if candidate.threshold is None else candidate.threshold
        neighbours.append(Neighbour(candidate, _verdict(candidate, sku, threshold), threshold, number))
    boxes = tuple((number, box) for box, number in numbers.items())
    return Sight(look.frame_width_px, look.frame_height_px, tuple(neighbours), boxes, look.texts)


def _verdict(candidate: Candidate, sku: str, threshold: float) -> Verdict:
    if candidate.sku == sku:
        return "itself"
    if candidate.confidence >= threshold:
        return "confused"
    return "similar" if candidate.confidence >= _SIMILAR_FROM else "other"
