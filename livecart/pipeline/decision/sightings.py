"""A look's candidates by place: at each place the most confident speaks, the others are overruled."""

from __future__ import annotations

from dataclasses import dataclass

from livecart.pipeline.decision.boxes import ShareBox, area, same_place, to_shares
from livecart.types import Candidate, Look


@dataclass(frozen=True, slots=True)
class Sighting:
    """One product in one look. `speaks`: no other product of the look is more likely at its place."""

    candidate: Candidate
    box: ShareBox | None
    speaks: bool


def sightings_of(look: Look, least_iou: float) -> list[Sighting]:
    """Each product of the look once, at its largest box among those where it speaks, if there is one."""
    chosen: dict[str, Sighting] = {}
    places: list[tuple[str, ShareBox | None]] = []
    for candidate in sorted(look.candidates, key=lambda each: -each.confidence):
        box = to_shares(candidate.box_xyxy_px, look.frame_width_px, look.frame_height_px)
        first = next((sku for sku, place in places if same_place(place, box, least_iou)), None)
        if first is None:
            places.append((candidate.sku, box))
        sighting = Sighting(candidate, box, speaks=first in (None, candidate.sku))
        known = chosen.get(candidate.sku)
        if known is None or _rank(sighting) > _rank(known):
            chosen[candidate.sku] = sighting
    return list(chosen.values())


def _rank(sighting: Sighting) -> tuple[bool, float]:
    return sighting.speaks, area(sighting.box) if sighting.box else 0.0
